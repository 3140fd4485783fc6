"""How the pages are built: `make docs`."""

from skmemto import __version__

project = "skmemto"
author = "The skmemto developers"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",  # formulas without a network
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "design.md"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say them, with shapes
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"(follow_csv|serve)\.py",
    "download_all_examples": False,
    "show_memory": False,
    "abort_on_example_error": True,
    "capture_repr": (),  # no <object at 0x...>
    "doc_module": ("skmemto",),
    "backreferences_dir": "generated/backreferences",
    "remove_config_comments": True,
    "plot_gallery": "True",
    "min_reported_time": 1000,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skmemto"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_theme_options = {
    "header_links_before_dropdown": 6,
    "github_url": "https://github.com/skmemto/skmemto",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
}
html_sidebars = {"changelog": [], "mathematics": [], "accuracy": []}
html_show_sourcelink = False
