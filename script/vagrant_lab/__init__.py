"""What ``script/test vagrant`` runs: the Vagrant lab from ``vagrant up`` over a console of each compute to its end.

Where no libvirtd runs that Vagrant could use, it starts one of its own, in a
mount namespace and with files of its own, and takes it away again. Without a
KVM that works it does without, which takes ten times as long.
"""
