"""The documentation site, which ``make docs`` builds with the installed package."""

import re

import asynctcp

project = "asynctcp"
author = "The asynctcp authors"
version = release = asynctcp.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["figures"]
nitpicky = True
# Names of the standard library, whose inventory is not at hand, and private ones.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(socket\.|ssl\.|os\.|ipaddress\.|collections\.|typing\.|types\.|io\.|contextlib\.|asynctcp\.(aio\.)?_).*",
    ),
    (r"py:.*", r"(Any|Callable|Iterable|Iterator|optional)"),
]

# --- pages ----------------------------------------------------------------------------

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
_DESCRIPTION = (
    "Fast TCP, TLS and Unix servers and clients for Python, and an asyncio loop."
)
myst_html_meta = {
    "description": _DESCRIPTION,
    "property=og:title": "asynctcp",
    "property=og:description": _DESCRIPTION,
    "property=og:type": "website",
}
myst_heading_anchors = 3
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"asynctcp {version}"
html_favicon = "_static/favicon.svg"
html_theme_options = {
    "light_logo": "logo.svg",
    "dark_logo": "logo-dark.svg",
    "sidebar_hide_name": True,
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False

# Files outside of docs/ that have a page here: on a code host the links lead there.
_PAGES = {
    "../CHANGELOG.md": "changelog.md",
    "../SECURITY.md": "security.md",
    "../ARCHITECTURE.md": "explanation/architecture.md",
    "../README.md#on-the-command-line": "how-to/command-line.md",
}


def read_examples(app, docname, source):
    """Take the list of examples as it is, with links to the programs from here."""
    if docname == "examples":
        text = (app.srcdir.parent / "examples" / "README.md").read_text()
        source[0] = re.sub(r"\]\(([\w/]+\.py)\)", r"](../examples/\1)", text)


def link_pages(_app, _docname, source):
    """Lead links to files that have a page here to that page."""
    for file, page in _PAGES.items():
        source[0] = source[0].replace(f"]({file})", f"](/{page})")


def pair_figures(app, _docname, source):
    """Show the plot that was drawn for the page's colours, where there are both."""
    source[0] = re.sub(
        r"^!\[([^]]*)\]\((figures/[\w-]+)\.svg\)$",
        lambda match: _pair(app, match) or match[0],
        source[0],
        flags=re.MULTILINE,
    )


def _pair(app, match):
    alt, name = match.groups()
    if not (app.srcdir / f"{name}-dark.svg").exists():
        return None
    image = "```{{image}} {}.svg\n:alt: {}\n:class: only-{}\n```"
    return "\n\n".join(
        [image.format(name, alt, "light"), image.format(f"{name}-dark", alt, "dark")]
    )


def quote_patterns(_app, docname, source):
    """Show names of tests as they are: their stars and underscores are no markup."""
    if docname == "contract":
        source[0] = re.sub(
            r"(?<= \| )[^|`\n]+(?= \|$)",
            lambda cell: ", ".join(f"`{one}`" for one in cell[0].split(", ")),
            source[0],
            flags=re.MULTILINE,
        ).replace("`tests`", "tests")


# --- docstrings -----------------------------------------------------------------------

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
default_role = "literal"

_NAMES = sorted(
    {
        *asynctcp.__all__,
        *(
            f"{name}.{member}"
            for name in asynctcp.__all__
            if isinstance(getattr(asynctcp, name), type)
            for member in vars(getattr(asynctcp, name))
            if not member.startswith("_")
        ),
    }
    - {"__version__"}
)
_REFERENCE = re.compile(
    rf"(?<![`:\w])(`{{1,2}})({'|'.join(map(re.escape, _NAMES))})(\(\))?\1(?![`\w])"
)


def link_names(_app, _what, name, _obj, _options, lines):
    """Make links of public names between backticks, but for the thing's own."""
    own = name.removeprefix("asynctcp.").removeprefix("conditions.")
    for at, line in enumerate(lines):
        lines[at] = _REFERENCE.sub(
            lambda found: (
                f"``{found[2]}{found[3] or ''}``"
                if own == found[2] or own.startswith(f"{found[2]}.")
                else f":py:obj:`{found[2]}{found[3] or ''} <asynctcp.{found[2]}>`"
            ),
            line,
        )


def setup(app):
    """Have Sphinx call the functions above."""
    app.connect("source-read", read_examples)
    app.connect("source-read", link_pages)
    app.connect("source-read", pair_figures)
    app.connect("source-read", quote_patterns)
    app.connect("autodoc-process-docstring", link_names)
