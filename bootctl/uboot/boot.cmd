# The boot scheme of boards with U-Boot, for its bootmeth_script (mkimage -T script -d boot.cmd boot.scr).
#
# Every boot takes one attempt from the slot that is booted. A slot on trial has three, a confirmed
# one nine, and userspace gives them back by confirming; a slot without attempts is left. Where none
# has any, the one that was confirmed boots without being counted: there is always something to boot.
#
# The variables lie in /flipside/uboot.env on the first partition, where U-Boot has no environment of
# its own that Linux can reach, and in U-Boot's own environment otherwise. That file is written in
# place, which a power cut may tear; then both slots are on trial, A first. Only an environment with
# two copies is safe.
#
# Expects ${devtype} and ${devnum}, which U-Boot sets; root-a and root-b are partitions 2 and 3.
# A kernel may be compressed; where the board has no place to unpack it, that is 64 MiB behind the
# beginning of the initramfs.

setenv states flipside/uboot.env
setenv states_size 0x4000
setenv variables BOOT_ORDER BOOT_A_LEFT BOOT_A_CONFIRMED BOOT_B_LEFT BOOT_B_CONFIRMED

if test -e ${devtype} ${devnum}:1 ${states}; then
  setenv store 'env export -c -s ${states_size} ${scriptaddr} ${variables} && fatwrite ${devtype} ${devnum}:1 ${scriptaddr} ${states} ${states_size}'
  for name in ${variables}; do setenv ${name}; done
  load ${devtype} ${devnum}:1 ${ramdisk_addr_r} ${states} && env import -c ${ramdisk_addr_r} ${states_size} ${variables}
else
  setenv store saveenv
fi
test -n "${BOOT_ORDER}" || setenv BOOT_ORDER A B
test -n "${BOOT_A_LEFT}" || setenv BOOT_A_LEFT 3
test -n "${BOOT_B_LEFT}" || setenv BOOT_B_LEFT 3
test -n "${BOOT_A_CONFIRMED}" || setenv BOOT_A_CONFIRMED 0
test -n "${BOOT_B_CONFIRMED}" || setenv BOOT_B_CONFIRMED 0

test -n "${kernel_comp_addr_r}" || setexpr kernel_comp_addr_r ${ramdisk_addr_r} + 0x4000000

# Start slot ${slot} with the kernel arguments ${mark}. Returns only if its kernel cannot be loaded.
setenv start '
  if test ${slot} = A; then setenv part 2; setenv label root-a; else setenv part 3; setenv label root-b; fi;
  setenv arguments quiet panic=1;
  load ${devtype} ${devnum}:${part} ${scriptaddr} boot/arguments.txt && env import -t ${scriptaddr} ${filesize} arguments;
  setenv bootargs root=PARTLABEL=${label} ro rauc.slot=${slot} ${mark} ${arguments};
  echo "flipside: slot ${slot} ${mark}";
  if load ${devtype} ${devnum}:${part} ${kernel_addr_r} boot/vmlinuz; then
    setenv kernel_comp_size ${filesize};
    if load ${devtype} ${devnum}:${part} ${ramdisk_addr_r} boot/initrd.img; then
      booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr};
    else
      booti ${kernel_addr_r} - ${fdtcontroladdr};
    fi;
  fi;
  echo "flipside: slot ${slot} has no kernel that can be loaded"'

# Take one of ${left} attempts from ${slot} and start it. An attempt that cannot be written down must
# not be given to a trial: it would never end.
setenv attempt '
  if test ${left} -gt 0; then
    setexpr left ${left} - 1;
    setenv BOOT_${slot}_LEFT ${left};
    setenv mark;
    test "${confirmed}" = 1 || setenv mark flipside.trial=1;
    if run store; then run start; else test -n "${mark}" || run start; fi;
  fi'

# The variable of a loop is not the environment's, which "run" sees, and must not have a name of it.
for name in ${BOOT_ORDER}; do
  setenv slot ${name}
  if test ${slot} = A; then setenv left ${BOOT_A_LEFT}; setenv confirmed ${BOOT_A_CONFIRMED}; fi
  if test ${slot} = B; then setenv left ${BOOT_B_LEFT}; setenv confirmed ${BOOT_B_CONFIRMED}; fi
  run attempt
done

echo "flipside: no slot with attempts left, taking the confirmed one"
setenv mark
if test "${BOOT_A_CONFIRMED}" = 1; then setenv slot A; run start; fi
if test "${BOOT_B_CONFIRMED}" = 1; then setenv slot B; run start; fi
for name in ${BOOT_ORDER}; do setenv slot ${name}; run start; done
echo "flipside: neither slot has a kernel; trying again in 30 seconds"
sleep 30
reset
