"""Measures the page in Chromium, and draws the pictures of its tutorial.

python benchmarks/page.py [--pictures DIR] [--times N]

Prints how long it takes from handing over a PNG of 1768 x 1812 pixels to the frame with its outlines, and where the
milliseconds go: on a page as soon as it is loaded, on one that was loaded two seconds before, and on one that has
outlined others. `wait` is for the model. With `--pictures` it writes `page_wide.png`,
`page_tablet.png` and `page_phone.png`, which show phantoms.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import statistics
import tempfile
import threading

import cv2

from crass_tf.commands.view import serve
from crass_tf.phantom.rendering import render
from crass_tf.radiographs.formats.png import write_png

SEED, SIZE = 3, 1024
NATIVE = (1768, 1812)
SIZES = {"wide": (1400, 900), "tablet": (820, 1180), "phone": (360, 740)}
PATIENCE_MS = 120_000
# As long as a reader takes at least to find a file.
READ_MS = 2000
SETTLE_MS = 700
STEPS = ("whole", "decode", "wait", "resize", "model", "warp", "contour", "draw and hand over")
# `shown`: milliseconds from when the page gets a file to the frame behind the one with its outlines.
WATCH = """addEventListener("change", () => {
    const start = performance.now();
    const list = document.getElementById("list");
    const entry = `li:nth-child(${list.children.length + 1}).outlined`;
    window.shown = new Promise((resolve) => {
        const end = () => resolve(performance.now() - start);
        new MutationObserver((_, observer) => {
            if (!list.querySelector(entry)) return;
            observer.disconnect();
            requestAnimationFrame(() => requestAnimationFrame(end));
        }).observe(list, { subtree: true, childList: true, attributeFilter: ["class"] });
    });
}, true)"""


def main():
    """Prints the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=pathlib.Path, metavar="DIR", help="where the pictures go")
    parser.add_argument("--times", type=int, default=10, metavar="N", help="radiographs of each kind")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as engine,
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(
            engine.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        ) as browser,
        serving() as address,
    ):
        files = phantoms(pathlib.Path(folder))
        load = os.getloadavg()[0]
        figures = measure(browser, address, files[0], args.times)
        print(table(figures) + f"\n\n{args.times} of each; load {load:.1f} before, {os.getloadavg()[0]:.1f} after")
        for name, size in SIZES.items() if args.pictures else ():
            draw(browser, address, files[1:], size, args.pictures / f"page_{name}.png")


def phantoms(folder):
    """Writes phantoms, one of CRASS12's size first; returns their paths."""
    found = []
    # The first one is refused, which takes less time than outlines do.
    for number in range(1, 7):
        phantom = render(SEED, number, SIZE)
        path = folder / f"phantom_{number:05d}.png"
        image = cv2.resize(phantom.image, NATIVE, interpolation=cv2.INTER_CUBIC) if number == 1 else phantom.image
        write_png(path, image, (0.25, 0.25) if number == 1 else phantom.spacing_mm)
        found.append(path)
    return found


@contextlib.contextmanager
def serving():
    """Yields the address of the page."""
    with serve(port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def measure(browser, address, file, times):
    """Returns `{kind of page: steps}`: medians of milliseconds over so many radiographs."""
    cold, after = [], []
    # In turn, so that what else runs on the computer weighs on both alike.
    for _ in range(times):
        for found, wait_ms in ((cold, 0), (after, READ_MS)):
            with opened(browser, address, wait_ms) as page:
                found.append(timed(page, file))
    with opened(browser, address, READ_MS) as page:
        # The first ones let the browser compile what they run.
        warm = [timed(page, file) for _ in range(times + 3)][3:]
    kinds = {"at once": cold, f"after {READ_MS / 1000:g} s": after, "the next ones": warm}
    return {
        kind: {step: statistics.median(run[step] for run in runs) for step in STEPS} for kind, runs in kinds.items()
    }


@contextlib.contextmanager
def opened(browser, address, wait_ms, **options):
    """Yields a page in a browser that knows nothing of it, so many milliseconds after it was loaded."""
    with contextlib.closing(browser.new_context(**options)) as context:
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto(address + "#view")
        page.wait_for_timeout(wait_ms)
        yield page


def timed(page, file):
    """Returns milliseconds by step of a radiograph, from handing it over to the frame behind its outlines."""
    page.set_input_files("#files", file)
    whole = page.evaluate("shown")
    said = page.inner_text("#engine").partition("The last file")[2]
    # Its thumbnail and measures come behind the outlines.
    page.wait_for_timeout(SETTLE_MS)
    steps = {step: int(number) for step, number in re.findall(r"(\w+) (\d+)", said)}
    inside = {step: steps.get(step, 0) for step in STEPS[1:-1]}
    return {"whole": whole} | inside | {"draw and hand over": whole - sum(inside.values())}


def table(figures):
    """Returns the figures as Markdown."""
    rows = ["| milliseconds, medians | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    rows += [f"| {step} | " + " | ".join(f"{kind[step]:.0f}" for kind in figures.values()) + " |" for step in STEPS]
    return "\n".join(rows)


def add(page, files):
    """Opens files and waits for their outlines."""
    known = page.locator("#list li").count()
    page.set_input_files("#files", [str(file) for file in files])
    page.locator("#list .outlined, #list .failed").nth(known + len(files) - 1).wait_for(timeout=PATIENCE_MS)


def draw(browser, address, files, size, path):
    """Writes a picture of the page."""
    with contextlib.closing(browser.new_context(viewport=dict(zip(("width", "height"), size)))) as context:
        page = context.new_page()
        page.goto(address + "#view")
        add(page, files)
        for key in ("Enter", "c", "k", "m", "+", "+", "]"):
            page.keyboard.press(key)
            page.wait_for_timeout(500)
        page.screenshot(path=path)


if __name__ == "__main__":
    main()
