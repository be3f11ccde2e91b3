# The guest of the lab and of the tests: a whole "operating system" in one boot sector.
#
# It shows the banner, then a counter that moves 18 times a second in the upper right corner, so that a test can
# tell a live picture from a still one. Each key is echoed on the screen and sent through COM1 (9600 8N1), so that a
# test can tell what reached the guest without reading pixels. The power button turns it off, as it does a real
# machine, so that a graceful shutdown can be tested too.
#
# Built by tests/hosts/guest.py and the lab with:
#   as --32 -o boot.o boot.S && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o boot.img boot.o
# Runs from a floppy image on QEMU's machine "pc" with 16 MiB; up in well under a second without KVM.

        .code16
        .globl  _start

        .set    VIDEO, 0xb800           # text mode's memory, two bytes a character: code, colour
        .set    TICKS, 0x46c            # the BIOS counts 18.2 ticks a second here
        .set    PM1_STATUS, 0x600       # ACPI registers, where SeaBIOS puts them on the PIIX4
        .set    PM1_ENABLE, 0x602
        .set    PM1_CONTROL, 0x604
        .set    POWER_BUTTON, 0x100
        .set    SLEEP_S5, 0x2000        # SLP_EN with type 0, which is "off" on this machine

_start: xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $_start, %sp            # the stack grows down from the code
        cld
        sti

        movw    $0x0003, %ax            # 80 by 25 text; clears the screen
        int     $0x10
        movw    $0x00e3, %ax            # COM1: 9600 8N1
        xorw    %dx, %dx
        int     $0x14
        movw    $PM1_ENABLE, %dx        # let the power button be seen in PM1_STATUS
        movw    $POWER_BUTTON, %ax
        outw    %ax, %dx

        movw    $banner, %si
print:  lodsb
        testb   %al, %al
        jz      loop
        call    show
        jmp     print

loop:   call    counter
        movw    $PM1_STATUS, %dx
        inw     %dx, %ax
        testw   $POWER_BUTTON, %ax
        jnz     off
        movb    $0x01, %ah              # is there a key?
        int     $0x16
        jz      idle
        xorw    %ax, %ax                # then take it: al is its character
        int     $0x16
        testb   %al, %al                # keys without a character (F1, arrows) are passed over
        jz      loop
        call    show
        cmpb    $'\r', %al              # Enter goes on in the next line
        jne     serial
        pushw   %ax
        movb    $'\n', %al
        call    show
        popw    %ax
serial: movb    $0x01, %ah
        xorw    %dx, %dx
        int     $0x14
        jmp     loop                    # another key may be waiting
idle:   hlt                             # until the next interrupt
        jmp     loop

off:    movw    $PM1_CONTROL, %dx
        movw    $SLEEP_S5, %ax
        outw    %ax, %dx
1:      hlt
        jmp     1b

# The low 16 bits of the tick counter in hexadecimal, row 0, columns 70 to 73.
counter:
        pushw   $VIDEO
        popw    %es
        movw    $(2 * 70), %di
        movw    TICKS, %dx
        movw    $4, %cx
2:      rolw    $4, %dx
        movb    %dl, %al
        andb    $0x0f, %al
        cmpb    $10, %al                # 0 to 9 and A to F without a table: cmp, sbb, das
        sbbb    $0x69, %al
        das
        movb    $0x2f, %ah              # white on green
        stosw
        loop    2b
        ret

# Print al at the cursor; ax is kept.
show:   pushw   %ax
        movb    $0x0e, %ah
        movw    $0x0007, %bx
        int     $0x10
        popw    %ax
        ret

banner: .asciz  "VNC TEST GUEST READY\r\n> "

        .org    510
        .word   0xaa55                  # what makes a sector bootable
