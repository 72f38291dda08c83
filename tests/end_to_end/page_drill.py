"""Opens a page of `report --format html` in Chromium, works its controls, and takes pictures: for people, not the gate.

`python tests/end_to_end/page_drill.py PAGE.html FOLDER` sorts every column by clicking its head three times and looks
at the order of the values in its cells, switches between light and dark, leaves an arm alone, and writes pictures of
the page as it is light, dark, on a phone and printed into FOLDER. It needs Chromium; nothing is fetched.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.helpers.pages import read_page

PROBE = """
<script>
window.addEventListener("load", function () {
  var found = { sorts: [], themes: [], picked: null };
  document.querySelectorAll("table.sorted").forEach(function (table) {
    table.querySelectorAll("thead th").forEach(function (head, column) {
      for (var click = 0; click < 3; click++) {
        head.querySelector("button").click();
        found.sorts.push({
          column: column, said: head.getAttribute("aria-sort"),
          values: Array.from(table.tBodies).map(function (body) {
            return body.rows[0].cells[column].getAttribute("data-value"); })
        });
      }
    });
  });
  var theme = document.querySelector("button.theme");
  for (var turn = 0; turn < 2; turn++) {
    theme.click();
    found.themes.push([document.documentElement.getAttribute("data-theme"),
      getComputedStyle(document.body).backgroundColor]);
  }
  var entry = document.querySelector(".legend[data-for] button");
  if (entry) {
    entry.click();
    var pictures = document.getElementById(entry.closest(".legend").getAttribute("data-for"));
    found.picked = { arm: entry.getAttribute("data-arm"), pressed: entry.getAttribute("aria-pressed"),
      alone: Array.from(pictures.querySelectorAll(".series")).filter(function (one) {
        return one.style.opacity === "1"; }).map(function (one) { return one.getAttribute("class"); }) };
  }
  var out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(found);
  document.body.appendChild(out);
});
</script>
"""

PICTURES = {"light": (1280, 4000), "dark": (1280, 4000)}


def run_chromium(*arguments: str) -> str:
    """Run Chromium without a screen, in a folder of its own, and return what it prints."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        command += [f"--user-data-dir={profile}", "--hide-scrollbars", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def check_controls(page: str, folder: Path) -> list[str]:
    """Work the controls of a page and return what is wrong."""
    copy = folder / "probe.html"
    # The page's policy lets no other script run, so the copy goes without.
    copy.write_text(
        re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</body>", f"{PROBE}</body>")
    )
    root, _ = read_page(run_chromium("--dump-dom", f"file://{copy}"))
    copy.unlink()
    [probe] = [one for one in root.find_all("pre") if one.attributes.get("id") == "probe"]
    found = json.loads(probe.text)
    faults: list[str] = []
    for sort in found["sorts"]:
        known = [value for value in sort["values"] if value != ""]
        numbers = [float(value) for value in known] if _are_numbers(known) else known
        if sort["values"][: len(known)] != known:
            faults.append(f"column {sort['column']}: what has no value does not come last")
        if sort["said"] != "none" and numbers != sorted(numbers, reverse=sort["said"] == "descending"):
            faults.append(f"column {sort['column']}, {sort['said']}: {sort['values']}")
    if found["sorts"] and {sort["said"] for sort in found["sorts"]} != {"descending", "ascending", "none"}:
        faults.append("a head does not say how it is sorted")
    if len({ground for _, ground in found["themes"]}) != 2:
        faults.append(f"the button leaves the page as it is: {found['themes']}")
    picked = found["picked"]
    if picked and (picked["pressed"] != "true" or any(f"s{picked['arm']} " not in one for one in picked["alone"])):
        faults.append(f"an entry of the legend does not leave its arm alone: {picked}")
    return faults


def _are_numbers(values: list[str]) -> bool:
    try:
        list(map(float, values))
    except ValueError:
        return False
    return True


def take_pictures(page: str, folder: Path) -> None:
    """Write pictures of a page, light, dark and as narrow as a phone, and the page as it is printed."""
    for name, (width, height) in PICTURES.items():
        copy = folder / f"{name}.html"
        copy.write_text(page.replace('<html lang="en">', f'<html lang="en" data-theme="{name}">'))
        run_chromium(f"--window-size={width},{height}", f"--screenshot={folder / name}.png", f"file://{copy}")
    frame = folder / "frame.html"  # windows are no narrower than 500
    frame.write_text(
        '<body style="margin:0"><iframe src="light.html" width="390" height="4000" style="border:0"></iframe>'
    )
    run_chromium("--window-size=390,4000", f"--screenshot={folder / 'phone.png'}", f"file://{frame}")
    run_chromium(f"--print-to-pdf={folder / 'print.pdf'}", "--no-pdf-header-footer", f"file://{folder / 'light.html'}")
    for name in ("light.html", "dark.html", "frame.html"):
        (folder / name).unlink()


def main() -> int:
    """Check a page; exit code 1 where a control does not do what it should."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    page, folder = options.page.read_text(), options.folder.resolve()
    faults = check_controls(page, folder)
    take_pictures(page, folder)
    print("\n".join(faults) or f"every control works; pictures are in {folder}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
