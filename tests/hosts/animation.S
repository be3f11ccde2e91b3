# A guest that draws without end: all of its 320 by 200 pixels, once a refresh of the screen.
    .code16
    .globl _start
_start:
    cli
    xorw    %ax, %ax
    movw    %ax, %ss
    movw    $0x7c00, %sp
    movw    $0x0013, %ax            # VGA mode 13h: 256 colours, a byte a pixel
    int     $0x10
    movw    $0xa000, %ax
    movw    %ax, %es
    xorb    %bl, %bl                # the colour of the first pixel
    cld
picture:
    xorw    %di, %di
    movb    %bl, %al
    movw    $64000, %cx
pixel:
    stosb
    incb    %al
    loop    pixel
    incb    %bl
    movw    $0x3da, %dx             # input status 1: bit 3 is set in the vertical retrace
in_retrace:
    inb     %dx, %al
    testb   $8, %al
    jnz     in_retrace
before_retrace:
    inb     %dx, %al
    testb   $8, %al
    jz      before_retrace
    jmp     picture
    .org    510
    .word   0xaa55
