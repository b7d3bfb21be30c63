"""server-lite: a small update server that speaks the device protocol (DDI) of Eclipse hawkBit."""
