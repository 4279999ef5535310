#!/bin/sh
# run.sh DIR SCRIPT FILE...: runs a shell script on an emulated x86-64 machine that has AVX-512, VNNI and VBMI (Bochs,
# one Tiger Lake core, 1 GB), with Debian's kernel. FILEs lie in its root directory: programs that are statically
# linked, and what they read. Prints what the machine prints; the exit status is the script's. See README.md.
# DIR holds the unpacked kernel, which later runs find there, and the files of this run.
#
# environment: SECONDS_ALLOWED  ends the machine after so long (default: 1800)
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
D=$1 script=$2
shift 2
say() { echo "bochs: $*" >&2; }

# 1. tools, and a kernel: unpacked, not installed, since that would change what this machine boots
need=
for package in bochs bochs-term bochsbios vgabios isolinux syslinux-common genisoimage busybox-static cpio; do
    dpkg -s $package >/dev/null 2>&1 || need="$need $package"
done
# shellcheck disable=SC2086
[ -z "$need" ] || sh "$HERE/../apt-install.sh" $need
mkdir -p "$D"
D=$(cd "$D" && pwd)
if [ ! -e "$D/vmlinuz" ]; then
    say "fetching a kernel"
    rm -rf "$D/kernel"
    mkdir "$D/kernel"
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p')
    (cd "$D/kernel" && apt-get download -qq -o APT::Sandbox::User=root "$package") || {
        say "this machine's apt sources do not offer Debian's linux-image-cloud-amd64"
        exit 1
    }
    dpkg-deb -x "$D"/kernel/*.deb "$D/kernel"
    mv "$D"/kernel/boot/vmlinuz-* "$D/vmlinuz"
    rm -rf "$D/kernel"
fi

# 2. a CD with the kernel and the files
run=$D/run
rm -rf "$run"
mkdir -p "$run/root/bin" "$run/root/proc" "$run/root/sys" "$run/root/dev" "$run/root/tmp" "$run/cd"
cp -r "$@" "$run/root/"
cp /bin/busybox "$run/root/bin/"
printf '%s\n' "$script" > "$run/root/script"
cat > "$run/root/init" <<'INIT'
#!/bin/busybox sh
busybox=/bin/busybox
$busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
cd / && sh /script
echo "exit status $?"
sleep 1
poweroff -f
INIT
chmod +x "$run/root/init"
(cd "$run/root" && find . | cpio -o -H newc --quiet | gzip -1) > "$run/cd/initrd"
ln "$D/vmlinuz" "$run/cd/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$run/cd/"
# Bochs 2.7 tells wrong sizes of state for XSAVES, XSAVEC and PKU, upon which Linux would do without AVX; with FSRM but
# without ERMS, as it has them, Linux 6.1 copies wrongly.
cat > "$run/cd/isolinux.cfg" <<'CFG'
DEFAULT linux
LABEL linux
 KERNEL /vmlinuz
 APPEND initrd=/initrd console=ttyS0 loglevel=1 mitigations=off tsc=reliable lpj=1000000 clearcpuid=323,321,515,580
CFG
genisoimage -quiet -o "$run/cd.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
    "$run/cd"

# 3. the machine. Its screen is one nobody looks at: Debian's Bochs has no display that shows nothing.
cat > "$run/bochsrc" <<CFG
config_interface: textconfig
display_library: rfb, options="timeout=0"
megs: 1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model=tigerlake, ips=200000000
ata0: enabled=1
ata0-master: type=cdrom, path=$run/cd.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$run/serial
sound: driver=dummy
log: $run/log
panic: action=fatal
error: action=ignore
info: action=ignore
CFG
# Debian's Bochs has a debugger, which waits for "continue". Its own exit status tells nothing: to it power off is a
# panic.
: > "$run/serial"
echo c | timeout "${SECONDS_ALLOWED:-1800}" bochs -q -f "$run/bochsrc" > "$run/bochs.out" 2>&1 || :
tr -d '\r' < "$run/serial" > "$run/out"
sed '/^exit status [0-9]*$/,$d' "$run/out"
status=$(sed -n 's/^exit status \([0-9]*\)$/\1/p' "$run/out" | tail -n 1)
[ -n "$status" ] || {
    say "the machine did not come to the end of the script; see $run/serial, $run/log and $run/bochs.out"
    exit 1
}
exit "$status"
