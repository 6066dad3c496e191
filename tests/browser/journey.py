"""A way through JupyterLab in steps: what fails says where, and what is shown can be looked at and be read."""

from contextlib import contextmanager

import lab

# Text that is hard to tell from what lies behind it: a contrast below 4.5, as WCAG 2 counts it.
CONTRAST = """element => {
    const light = colour => {
        const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        for (; element; element = element.parentElement) {
            const colour = getComputedStyle(element).backgroundColor;
            if (!/(, 0\\)|transparent)$/.test(colour)) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const ratio = part => {
        const pair = [light(getComputedStyle(part).color), light(behind(part))];
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    };
    const own = node => node.nodeType === Node.TEXT_NODE && node.data.trim();
    const ours = part => part.checkVisibility() && !part.closest('.jp-OutputPrompt');
    const words = part => ours(part) && [...part.childNodes].some(own);
    const parts = [...element.querySelectorAll('*')].filter(words);
    return parts.map(part => [ratio(part), part.outerHTML]).filter(([found]) => found < 4.5);
}"""


class Journey:
    def __init__(self, page, server, pictures) -> None:
        self.page, self.server, self.pictures, self.step_name = page, server, pictures, ""

    @contextmanager
    def step(self, name):
        """Whatever fails in here says in which step, and leaves a picture of the page and what the server said."""
        try:
            yield
        except BaseException as error:
            picture = self.pictures / "failed.png"
            self.page.screenshot(path=picture)
            error.add_note(f"in the step {name!r}; the page: {picture}; JupyterLab said:\n{self.server.said()[-2000:]}")
            raise

    def look(self, name, at) -> None:
        """Keep pictures of a place, light and dark, and see that its text can be read in both."""
        for theme in ("Dark", "Light"):
            lab.menu(self.page, "Settings", "Theme", f"JupyterLab {theme}")
            self.page.locator(f'body[data-jp-theme-name="JupyterLab {theme}"]').wait_for(state="attached")
            self.page.locator("#jupyterlab-splash").wait_for(state="detached")
            at.scroll_into_view_if_needed()
            self.page.screenshot(path=self.pictures / f"{name}-{theme.lower()}.png")
            assert at.evaluate(CONTRAST) == [], f"{name}, {theme}"

    def follow(self, link, path) -> lab.Notebook:
        self.page.locator(lab.PANEL).get_by_role("link", name=link).first.click()
        return lab.Notebook(self.page, path)
