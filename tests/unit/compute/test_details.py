"""What an instance is made of, as its domain's XML says."""

from __future__ import annotations

import pytest

from porthole.compute.details import MAX_PAIRS, MAX_TEXT, Details, Flavor, Image
from porthole.compute.owner import NOVA_NAMESPACES
from porthole.compute.xml import parse

IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
HARDWARE = Flavor("2-vcpu-512-mib", "2-vcpu-512-mib", vcpus=2, ram=512)

# As Nova 34 writes it (nova/virt/libvirt/config.py, LibvirtConfigGuestMetaNovaInstance).
NOVA_34 = f"""
<nova:package version="34.0.0"/>
<nova:name>web-1</nova:name>
<nova:creationTime>2026-11-23 18:00:00</nova:creationTime>
<nova:flavor name="m1.small" id="2">
  <nova:memory>2048</nova:memory><nova:disk>20</nova:disk><nova:swap>512</nova:swap>
  <nova:ephemeral>5</nova:ephemeral><nova:vcpus>1</nova:vcpus>
  <nova:extraSpecs><nova:extraSpec name="hw:cpu_policy">shared</nova:extraSpec></nova:extraSpecs>
</nova:flavor>
<nova:image uuid="{IMAGE}">
  <nova:diskFormat>qcow2</nova:diskFormat>
  <nova:properties>
    <nova:property name="os_type">linux</nova:property><nova:property name="hw_disk_bus">virtio</nova:property>
  </nova:properties>
</nova:image>
<nova:root type="image" uuid="{IMAGE}"/>
"""


def details(nova: str = "", namespace: str = NOVA_NAMESPACES[0], hardware: str | None = None) -> Details:
    if hardware is None:
        hardware = "<memory unit='KiB'>524288</memory><vcpu placement='static'>2</vcpu>"
    metadata = f"<metadata><nova:instance xmlns:nova='{namespace}'>{nova}</nova:instance></metadata>" if nova else ""
    return parse(
        f"<domain><name>a</name><uuid>7b1b4f4e-2a57-4d5b-9c39-0d9a1f3f8a10</uuid>{metadata}{hardware}<devices/></domain>"
    ).details


@pytest.mark.parametrize("namespace", NOVA_NAMESPACES)
def test_nova_says_flavor_image_and_time(namespace: str) -> None:
    assert details(NOVA_34, namespace) == Details(
        Flavor("2", "m1.small", 1, 2048, 20, 5, 512, (("hw:cpu_policy", "shared"),)),
        Image(IMAGE, (("hw_disk_bus", "virtio"), ("os_type", "linux"))),
        "2026-11-23T18:00:00Z",
    )


def test_an_older_nova_says_no_id_of_the_flavor_and_no_properties() -> None:
    older = '<nova:flavor name="m1.small"><nova:memory>2048</nova:memory><nova:vcpus>1</nova:vcpus></nova:flavor>'

    assert details(f'{older}<nova:root type="image" uuid="{IMAGE.upper()}"/>') == Details(
        Flavor("m1.small", "m1.small", 1, 2048), Image(IMAGE)
    )


def test_any_other_domain_has_processors_and_memory() -> None:
    assert details() == Details(HARDWARE)


@pytest.mark.parametrize(
    "hardware",
    [
        "",
        "<memory>1</memory>",
        "<vcpu>1</vcpu>",
        "<memory>-1</memory><vcpu>1</vcpu>",
        "<memory>1</memory><vcpu>x</vcpu>",
        f"<memory>1</memory><vcpu>{'9' * 50}</vcpu>",
    ],
)
def test_what_says_neither_has_no_flavor(hardware: str) -> None:
    assert details(hardware=hardware) == Details()


@pytest.mark.parametrize(
    "nova",
    [
        "<nova:name>a</nova:name>",
        "<nova:flavor/>",
        "<nova:flavor name=''/>",
        "<nova:creationTime>yesterday</nova:creationTime>",
        "<nova:creationTime>2026-13-23 18:00:00</nova:creationTime>",
        "<nova:root type='image' uuid=''/>",
        "<nova:root type='image' uuid='x'/>",
        f"<nova:root type='volume' uuid='{IMAGE}'/>",
    ],
)
def test_what_cannot_be_read_counts_as_not_said(nova: str) -> None:
    assert details(nova) == Details(HARDWARE)


def test_a_number_that_is_none_is_0() -> None:
    flavor = details("<nova:flavor name='a'><nova:memory>much</nova:memory><nova:vcpus/></nova:flavor>").flavor

    assert flavor == Flavor("a", "a", 0, 0)


def test_numbers_and_texts_have_a_bound() -> None:
    spec = "<nova:extraSpec name='{}'>{}</nova:extraSpec>"
    specs = "".join(spec.format(number, "x" * 1000) for number in range(MAX_PAIRS * 2))
    flavor = details(
        f"<nova:flavor name='{'n' * 1000}'><nova:memory>{'9' * 18}</nova:memory>"
        f"<nova:extraSpecs>{spec.format('k' * 256, 'v')}{spec.format('b&lt;d', 'v')}{specs}</nova:extraSpecs>"
        "</nova:flavor>"
    ).flavor

    assert flavor is not None
    assert (len(flavor.name), flavor.ram) == (MAX_TEXT, 0x7FFFFFFF)
    # The first two of them have no keys that can be.
    assert len(flavor.extra_specs) == MAX_PAIRS - 2
    assert {len(value) for _, value in flavor.extra_specs} == {MAX_TEXT}


def test_instances_that_are_alike_share_what_they_are_made_of() -> None:
    first, second = details(NOVA_34), details(NOVA_34)

    assert first.flavor is second.flavor
    assert first.image is second.image
    assert details().flavor is details().flavor
