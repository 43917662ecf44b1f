#!/usr/bin/env python3
"""Fails on links of the documentation that lead nowhere: links.py FOLDER, a folder of rustdoc's pages."""
import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.ids = set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        if tag == "a" and attributes.get("href"):
            self.links.add(attributes["href"])


# In the documentation of traits of others, which stands on our pages.
OF_OTHERS = {"dispatcher#setting-the-default-subscriber", "futures_core::future::TryFuture"}

folder = pathlib.Path(sys.argv[1]).resolve()
pages = {path: Page(path) for path in folder.rglob("*.html")}
dead = []
for path, page in pages.items():
    for link in page.links:
        url = urllib.parse.urlsplit(link)
        if url.scheme or url.netloc or link.startswith("javascript"):
            continue
        to = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
        if to.is_dir():
            to /= "index.html"
        fragments = {url.fragment, urllib.parse.unquote(url.fragment), urllib.parse.unquote_plus(url.fragment)}
        known = not url.fragment or to not in pages or fragments & pages[to].ids
        if link not in OF_OTHERS and not (to.exists() and known):
            dead.append(f"{path.relative_to(folder)}: {link}")
print("\n".join(sorted(dead)))
sys.exit(bool(dead))
