# Makes a device's root file system out of a fresh Debian one: run by mmdebstrap, $1 is the root.
#
# What stays is named, what goes is the rest: a new Debian release adds units and rules, and none
# of them should cost boot time on an emulated processor unasked.
# MODULES holds the names of the kernel modules to keep.
set -eu
root=$1

# keep DIRECTORY NAME...: removes every other file of this directory.
keep() {
    directory=$root/$1
    shift
    for file in "$directory"/*; do
        case " $* " in
            *" ${file##*/} "*) ;;
            *) rm -rf "$file" ;;
        esac
    done
}

# --- Kernel: the wanted modules and what they depend on, ready to load without decompression.
release=$(basename "$root"/usr/lib/modules/*)
for name in $MODULES; do
    chroot "$root" modprobe --set-version "$release" --show-depends "$name"
done | awk '$1 == "insmod" { print $2 }' | sort -u > "$root/modules.keep"
find "$root/usr/lib/modules/$release/kernel" -name '*.ko*' | while read -r file; do
    grep -qx "/lib${file#"$root"/usr/lib}" "$root/modules.keep" || rm "$file"
done
chroot "$root" find "/usr/lib/modules/$release" -name '*.ko.xz' -exec xz --decompress {} +
find "$root/usr/lib/modules/$release/kernel" -type d -empty -delete
rm "$root/modules.keep"
chroot "$root" depmod "$release"
mv "$root/boot/vmlinuz-$release" "$root/boot/vmlinuz"
keep boot vmlinuz
# From Debian 14 on the kernel is beside its modules too.
( cd "$root/usr/lib/modules/$release" && rm -rf vmlinuz System.map config build source )
rm -f "$root"/vmlinuz* "$root"/initrd.img*

# --- The agent's user, with the same numbers in every image: files on /data outlive a slot.
chroot "$root" groupadd --system --gid 900 flipside
chroot "$root" useradd --system --uid 900 --gid 900 --groups systemd-journal \
    --home-dir /data/flipside --no-create-home --shell /usr/sbin/nologin flipside
rm -f "$root"/etc/*- "$root"/etc/.pwd.lock
mkdir -p "$root/data" "$root/efi"

# --- Services: only what is named here starts. There are no generators: the mounts are units.
rm -rf "$root"/usr/lib/systemd/*-generators "$root"/etc/systemd/system/*.wants "$root/etc/fstab"
wants=usr/lib/systemd/system
keep $wants/sysinit.target.wants systemd-journald.service systemd-udevd.service \
    systemd-udev-trigger.service systemd-tmpfiles-setup.service
keep $wants/sockets.target.wants dbus.socket systemd-journald.socket \
    systemd-journald-dev-log.socket systemd-udevd-control.socket systemd-udevd-kernel.socket
keep $wants/multi-user.target.wants dbus.service
keep $wants/local-fs.target.wants
keep $wants/timers.target.wants
keep $wants/systemd-udevd.service.wants
keep usr/lib/udev/rules.d 50-udev-default.rules 99-systemd.rules
keep usr/lib/tmpfiles.d systemd.conf var.conf dbus.conf
rm -rf "$root"/usr/lib/systemd/network
rm -rf "$root"/etc/rc?.d "$root"/etc/init.d "$root"/etc/cron.* "$root"/etc/update-motd.d
: > "$root/etc/machine-id"
rm -f "$root/etc/resolv.conf"

# --- Package management, Perl, translations, documentation: an A/B device is updated as a whole.
# (etc/apt and etc/dpkg hold files that mmdebstrap removes itself.)
keep usr/share dbus-1 polkit-1 rauc terminfo
( cd "$root" && rm -rf var/lib/* var/cache/* var/log/* )
( cd "$root/etc" && rm -rf initramfs-tools perl ssl ca-certificates* logrotate.d )
( cd "$root/usr/bin" && rm -rf perl* dpkg* apt* sqv openssl localedef xz* lz* debconf* \
    deb-systemd* gpgv )
( cd "$root/usr/sbin" && rm -rf dpkg* ./*initramfs* ldconfig )
( cd "$root/usr/lib" && rm -rf apt dpkg klibc* initramfs-tools init kernel valgrind \
    udev/hwdb.d udev/hwdb.bin systemd/catalog systemd/systemd-networkd* systemd/systemd-pcr* )
# Without libbpf, systemd does not spend a second on finding out that it may not use BPF.
( cd "$root/usr/lib/x86_64-linux-gnu" && rm -rf perl* libapt* libstdc++* libklibc* libbpf* \
    libdb-* libsqlite3* libmvec* libgirepository* girepository-1.0 gconv ossl-modules audit )

# --- Python: no tests, no build tools, byte code that is never compared with its source.
( cd "$root"/usr/lib/python3/dist-packages && rm -rf gi pygtkcompat ./*.egg-info debpython )
( cd "$root"/usr/lib/python3.*/ && rm -rf test idlelib turtledemo tkinter ensurepip lib2to3 \
    pydoc_data venv distutils config-3* _pyrepl sqlite3 LICENSE.txt sitecustomize.py )
find "$root"/usr/lib/python3* -name __pycache__ -type d -prune -exec rm -rf {} +
# -B: else the modules that compileall itself imports keep byte code of the usual kind.
chroot "$root" sh -c \
    'python3 -I -B -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3*'
