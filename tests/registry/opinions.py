"""The second opinion on everything that we push, publish or unpack."""

import asyncio


async def skopeo(*arguments: object) -> bytes:
    """Its standard output. It does not hold up servers of the test, which share the loop."""
    process = await asyncio.create_subprocess_exec(
        "skopeo",
        "--insecure-policy",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return said
