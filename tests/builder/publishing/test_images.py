"""Images of all kinds and names, in the forms that show them."""

import io
import subprocess
import zipfile
from shutil import which

import pytest
from PIL import Image
from shared import sample_book
from shared.parsed import parse

from builder.errors import BookError
from builder.publishing import epub, pdf, site, xelatex
from builder.source import reader

NAMES = {
    "UP.PNG": "PNG",
    "photo.JPG": "JPEG",
    "modern.webp": "WEBP",
    "modern.avif": "AVIF",
    "old.bmp": "BMP",
    "moving.gif": "GIF",
    "with space (1).png": "PNG",
    "a folder/inside (2).Jpeg": "JPEG",
}


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A chapter that shows each image, and one as a figure; the book's folder, its page."""
    root = tmp_path_factory.mktemp("book")
    sample_book.write(root)
    (root / "chapters" / "img" / "a folder").mkdir()
    (root / "chapters" / "img" / "a folder" / "notes.txt").touch()
    lines = ["# Images"]
    for number, (name, kind) in enumerate(NAMES.items()):
        picture = Image.new("RGB", (10 + number, 10), (200, 20, 20))
        picture.save(root / "chapters" / "img" / name, kind)
        lines.append(f"![number {number}](<img/{name}>)")
    lines.append(":::{figure} img/with space (1).png\n:alt: number 6\n\nIt.\n:::\n")
    path = root / "chapters" / "01-dense.md"
    path.write_text("\n\n".join(lines))
    reader.read(path, root)  # it may be so
    return root, {
        "01-dense": sample_book.numbered([sample_book.prose(path.read_text())])
    }


def assert_shown(images):
    """`images` are those of the book in order: alternative text and content of each."""
    assert [alt for alt, _ in images] == [
        f"number {n}" for n in (*range(len(NAMES)), 6)
    ]
    for alt, content in images:
        with Image.open(io.BytesIO(content)) as image:
            assert image.width == 10 + int(alt.split()[1])


def test_the_site_shows_them(book):
    root, pages = book
    folder = site.build(root, root / "_build" / "html", pages).parent
    images = parse(folder / "01-dense.html").select("article img")
    assert_shown([(i["alt"], (folder / i["src"]).read_bytes()) for i in images])


def test_the_epub_shows_them_as_kinds_that_it_knows(book):
    root, pages = book
    out = root / "_build" / "epub" / "torch.epub"
    epub.build(root, out, pages, "torch")
    with zipfile.ZipFile(out) as archive:
        (root / "page.html").write_bytes(archive.read("01-dense.xhtml"))
        images = parse(root / "page.html").select("img")
        listed = archive.read("content.opf").decode()
        assert_shown([(i["alt"], archive.read(i["src"])) for i in images])
    assert all(f'href="{image["src"]}"' in listed for image in images)
    assert {image["src"].rpartition(".")[2] for image in images} <= {
        "png",
        "jpg",
        "jpeg",
        "gif",
    }


@pytest.mark.slow
@pytest.mark.skipif(
    any(which(name) is None for name in (*xelatex.PROGRAMS, "pdfimages")),
    reason="TeX or poppler-utils is not installed",
)
def test_the_pdf_shows_them(book):
    root, pages = book
    out = root / "_build" / "pdf" / "torch.pdf"
    pdf.build(root, out, pages, "torch")
    command = ["pdfimages", "-list", str(out)]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    widths = {int(line.split()[3]) for line in listed.splitlines()[2:]}
    assert widths >= set(range(10, 10 + len(NAMES)))


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("scan.tiff", "TIFF", "save it as one of .svg, .png"),
        ("plot", "PNG", "without ending"),
        ("plot.jpg", "PNG", "its ending is .jpg, but it is of the type image/png"),
        ("plot.png", None, "it is damaged"),
    ],
)
def test_what_no_form_shows_is_refused_at_its_line(tmp_path, name, kind, told):
    sample_book.write(tmp_path)
    image = tmp_path / "chapters" / "img" / name
    if kind:
        Image.new("RGB", (4, 4)).save(image, kind)
    else:
        image.write_bytes(b"no image")
    path = tmp_path / "chapters" / "01-dense.md"
    path.write_text(f"# T\n\nSee\n![what](img/{name}).\n")
    with pytest.raises(BookError, match="01-dense.md:4: ") as caught:
        reader.read(path, tmp_path)
    assert told in str(caught.value)
