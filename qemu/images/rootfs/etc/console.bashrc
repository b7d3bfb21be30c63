# The shell that the test harness talks to: no editing, no colours, no history, one prompt.
PS1='device# '
unset HISTFILE PROMPT_COMMAND
stty -F /dev/ttyS0 rows 24 columns 250 2>/dev/null
