"""Which format a file is: by its magic bytes first, by its extension second, by its content last."""

import io
import re
import zipfile
from pathlib import PurePosixPath

from pincite.errors import CorruptDocument, EmptyDocument, EncryptedDocument, UnsupportedFormat
from pincite.parsing.naming import shown_name
from pincite.parsing.zip_damage import ZIP_DAMAGE

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML = "text/html"
EPUB = "application/epub+zip"
EML = "message/rfc822"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
CSV = "text/csv"
TSV = "text/tab-separated-values"
JSON = "application/json"

SUPPORTED = "supported are PDF, DOCX, PPTX, XLSX, HTML, EPUB, EML, CSV, Markdown, JSON, plain text and source code"

_BY_EXTENSION = {
    ".pdf": PDF,
    ".html": HTML, ".htm": HTML, ".xhtml": HTML,
    ".eml": EML,
    ".md": MARKDOWN, ".markdown": MARKDOWN, ".mdown": MARKDOWN, ".mkd": MARKDOWN,
    ".txt": TEXT, ".text": TEXT, ".log": TEXT, ".rst": TEXT, ".adoc": TEXT, ".org": TEXT, ".tex": TEXT, ".srt": TEXT,
    ".csv": CSV, ".tsv": TSV, ".tab": TSV,
    ".json": JSON, ".jsonl": JSON, ".ndjson": JSON, ".geojson": JSON,
}  # fmt: skip

_LANGUAGES = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".jsx": "javascript", ".ts": "typescript", ".tsx": "typescript", ".java": "java", ".kt": "kotlin",
    ".scala": "scala", ".go": "go",
    ".rs": "rust", ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hpp": "cpp",
    ".cs": "csharp", ".swift": "swift", ".m": "objective-c", ".rb": "ruby", ".php": "php", ".pl": "perl", ".lua": "lua",
    ".r": "r", ".jl": "julia", ".dart": "dart", ".ex": "elixir", ".exs": "elixir", ".erl": "erlang", ".hs": "haskell",
    ".clj": "clojure", ".sh": "shell", ".bash": "shell", ".zsh": "shell", ".ps1": "powershell", ".bat": "batch",
    ".sql": "sql", ".css": "css", ".scss": "scss", ".vue": "vue", ".xml": "xml", ".xsd": "xml", ".yaml": "yaml",
    ".yml": "yaml", ".toml": "toml", ".ini": "ini", ".cfg": "ini", ".conf": "conf", ".properties": "properties",
    ".proto": "protobuf", ".graphql": "graphql", ".tf": "terraform", ".gradle": "gradle", ".cmake": "cmake",
    ".ipynb": "json",
}  # fmt: skip
_LANGUAGE_BY_NAME = {"makefile": "make", "dockerfile": "dockerfile", "cmakelists.txt": "cmake", "jenkinsfile": "groovy"}

_SAVE_AS = "open it in an office program and save it as {}"
_OFFICE_97 = {
    ".doc": ("an old Word document (.doc)", _SAVE_AS.format("DOCX or PDF")),
    ".dot": ("an old Word template (.dot)", _SAVE_AS.format("DOCX or PDF")),
    ".wps": ("a WPS document", _SAVE_AS.format("DOCX or PDF")),
    ".xls": ("an old Excel workbook (.xls)", _SAVE_AS.format("XLSX or CSV")),
    ".et": ("a WPS workbook", _SAVE_AS.format("XLSX or CSV")),
    ".ppt": ("an old PowerPoint presentation (.ppt)", _SAVE_AS.format("PPTX or PDF")),
    ".dps": ("a WPS presentation", _SAVE_AS.format("PPTX or PDF")),
    ".msg": ("an Outlook message (.msg)", "save it as EML"),
}
_UNPACK = "unpack it and add the folder"
_IMAGE = "turn it into a PDF with recognised text (OCR)"

# (magic, offset, what it looks like, the way out); order matters where one magic begins with another.
_UNSUPPORTED_MAGIC: tuple[tuple[bytes, int, str, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "a PNG image", _IMAGE),
    (b"\xff\xd8\xff", 0, "a JPEG image", _IMAGE),
    (b"GIF87a", 0, "a GIF image", _IMAGE),
    (b"GIF89a", 0, "a GIF image", _IMAGE),
    (b"II*\x00", 0, "a TIFF image", _IMAGE),
    (b"MM\x00*", 0, "a TIFF image", _IMAGE),
    (b"WEBP", 8, "a WebP image", _IMAGE),
    (b"ftypheic", 4, "a HEIC image", _IMAGE),
    (b"ftypavif", 4, "an AVIF image", _IMAGE),
    (b"8BPS", 0, "a Photoshop image", _IMAGE),
    (b"{\\rtf", 0, "a rich text document (RTF)", _SAVE_AS.format("DOCX or PDF")),
    (b"%!PS", 0, "a PostScript document", "convert it to PDF"),
    (b"\x1f\x8b", 0, "a gzip archive", _UNPACK),
    (b"BZh", 0, "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", 0, "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", 0, "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", 0, "a RAR archive", _UNPACK),
    (b"ustar", 257, "a tar archive", _UNPACK),
    (b"\x7fELF", 0, "an executable program", "add documents only"),
    (b"MZ", 0, "an executable program", "add documents only"),
    (b"\xcf\xfa\xed\xfe", 0, "an executable program", "add documents only"),
    (b"\xca\xfe\xba\xbe", 0, "an executable program", "add documents only"),
    (b"\x00asm", 0, "an executable program", "add documents only"),
    (b"SQLite format 3\x00", 0, "an SQLite database", "export its tables as CSV"),
    (b"PAR1", 0, "a Parquet table", "export it as CSV"),
    (b"ID3", 0, "an audio recording", "add its transcript"),
    (b"OggS", 0, "an audio or video recording", "add its transcript"),
    (b"fLaC", 0, "an audio recording", "add its transcript"),
    (b"WAVE", 8, "an audio recording", "add its transcript"),
    (b"AVI ", 8, "a video recording", "add its transcript"),
    (b"\x1aE\xdf\xa3", 0, "a video recording", "add its transcript"),
    (b"ftyp", 4, "an audio or video recording", "add its transcript"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_ZIP_EXTENSIONS = {
    ".docx": DOCX, ".docm": DOCX, ".dotx": DOCX, ".pptx": PPTX, ".pptm": PPTX, ".ppsx": PPTX, ".potx": PPTX,
    ".xlsx": XLSX, ".xlsm": XLSX, ".xltx": XLSX, ".epub": EPUB,
}  # fmt: skip
_OPEN_DOCUMENT = {
    b"application/vnd.oasis.opendocument.text": ("an OpenDocument text", _SAVE_AS.format("DOCX or PDF")),
    b"application/vnd.oasis.opendocument.spreadsheet": ("an OpenDocument spreadsheet", _SAVE_AS.format("XLSX or CSV")),
    b"application/vnd.oasis.opendocument.presentation": (
        "an OpenDocument presentation",
        _SAVE_AS.format("PPTX or PDF"),
    ),
}

_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html[\s>]|head[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_MAIL_HEADER = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:(?:Received|Return-Path|Delivered-To|MIME-Version|Message-ID|From|Date|Subject|To|X-[\w-]+|"
    rb"DKIM-Signature|ARC-[\w-]+|Content-Type):[^\n]*\n(?:[ \t][^\n]*\n)*){3}",
    re.IGNORECASE,
)


def detect(data: bytes, name: str) -> str:
    """Return the media type of `data`, which came under the file name `name`.

    Source code is `text/plain; language=…`. Raises EmptyDocument, UnsupportedFormat (what it looks like, and the way
    out), EncryptedDocument or CorruptDocument for a container that cannot be opened.
    """
    shown = shown_name(name)
    if not data.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00"):
        raise EmptyDocument(f"{shown}: the file is empty; nothing was indexed")
    extension = PurePosixPath(shown.lower()).suffix
    if b"%PDF-" in data[:1024]:
        return PDF
    if data.startswith(_ZIP):
        return _inside_zip(data, shown, extension)
    if data.startswith(_OLE):
        raise _office_97(data, shown, extension)
    _refuse_magic(data, shown, extension)
    if _HTML_START.match(data[:4096]):
        return HTML
    if extension == ".pdf":
        return PDF  # damaged at its head; the parser repairs it or says why not
    if extension in _ZIP_EXTENSIONS:
        raise CorruptDocument(f"{shown}: this is not a {extension[1:].upper()} file; export it again from its program")
    return _by_name_or_content(data, shown, extension)


def is_plain_text(media_type: str) -> bool:
    """Whether a document of `media_type` is its own text: plain text, tables as text, JSON, source code."""
    return media_type in {TEXT, CSV, TSV, JSON} or media_type.startswith(TEXT + ";")


def _by_name_or_content(data: bytes, shown: str, extension: str) -> str:
    known = _BY_EXTENSION.get(extension)
    language = _LANGUAGES.get(extension) or _LANGUAGE_BY_NAME.get(shown.lower())
    if not (known or language) and _looks_binary(data):
        raise UnsupportedFormat(f"{shown}: this looks like binary data of an unknown format; {SUPPORTED}")
    if known:
        return known
    if language:
        return JSON if language == "json" else f"{TEXT}; language={language}"
    return EML if _MAIL_HEADER.match(data[:8192]) else TEXT


def _looks_binary(data: bytes) -> bool:
    sample = data[:8192]
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    zeros = sample.count(0)
    if zeros and max(sample[::2].count(0), sample[1::2].count(0)) > 0.2 * len(sample) / 2:
        one_side = min(sample[::2].count(0), sample[1::2].count(0)) <= 0.02 * len(sample)
        return not one_side  # zeros on one side only: UTF-16 without its mark
    controls = sum(sample.count(c) for c in range(32) if c not in b"\t\n\r\f\x1b")
    return controls > 0.02 * len(sample)


def _refuse_magic(data: bytes, shown: str, extension: str) -> None:
    for magic, offset, looks_like, way_out in _UNSUPPORTED_MAGIC:
        if data.startswith(magic, offset) and not (len(magic) <= 3 and _is_text_file(data, extension)):
            raise _unsupported(shown, looks_like, way_out)


def _is_text_file(data: bytes, extension: str) -> bool:
    """A text may begin with the letters of a short magic, such as "MZ" or "BZh"."""
    textual = extension in _BY_EXTENSION or extension in _LANGUAGES or not extension
    return textual and not _looks_binary(data)


def _office_97(data: bytes, shown: str, extension: str) -> Exception:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return EncryptedDocument(f"{shown}: the document is protected by a password; save a copy without one")
    looks_like, way_out = _OFFICE_97.get(extension, ("an old Office document", _SAVE_AS.format("DOCX, XLSX or PPTX")))
    return _unsupported(shown, looks_like, way_out)


def _unsupported(shown: str, looks_like: str, way_out: str) -> UnsupportedFormat:
    return UnsupportedFormat(f"{shown}: this looks like {looks_like}; {way_out} ({SUPPORTED})")


def _inside_zip(data: bytes, shown: str, extension: str) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            mimetype = b""
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                mimetype = archive.read("mimetype").strip()
    except ZIP_DAMAGE as error:
        if extension in _ZIP_EXTENSIONS:
            raise CorruptDocument(f"{shown}: the file is damaged or cut short; export it again") from error
        raise _unsupported(shown, "a damaged archive", _UNPACK) from error
    if mimetype == b"application/epub+zip" or "META-INF/container.xml" in names:
        return EPUB
    if mimetype in _OPEN_DOCUMENT:
        looks_like, way_out = _OPEN_DOCUMENT[mimetype]
        raise _unsupported(shown, looks_like, way_out)
    for folder, media_type in (("word/", DOCX), ("ppt/", PPTX), ("xl/", XLSX)):
        if any(n.startswith(folder) for n in names) and (
            "[Content_Types].xml" in names or extension in _ZIP_EXTENSIONS
        ):
            if "xl/workbook.bin" in names:
                raise _unsupported(shown, "a binary workbook (XLSB)", _SAVE_AS.format("XLSX"))
            return media_type
    if extension in _ZIP_EXTENSIONS:
        raise CorruptDocument(f"{shown}: this is not a {extension[1:].upper()} file; export it again from its program")
    raise _unsupported(shown, "a ZIP archive", _UNPACK)
