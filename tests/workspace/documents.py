"""The documents that the tests of the use cases add."""

import pymupdf

from pincite.ingestion import UploadedFile
from pincite.workspace import Workspace

LEAVE = "Every employee may take thirty days of parental leave after one year of service."
PUMP = "Change the oil of the pump every four hundred hours of operation."
NOTICE = "任何一方可提前三十日书面通知对方终止本合同。"


def pdf(*pages: str) -> bytes:
    document = pymupdf.open()
    for text in pages:
        page = document.new_page()
        if text:
            page.insert_textbox(pymupdf.Rect(72, 72, 500, 700), text, fontsize=11)
        else:
            page.draw_rect(pymupdf.Rect(72, 72, 300, 300), fill=(0.5, 0.5, 0.5))
    data: bytes = document.tobytes()
    document.close()
    return data


def upload(workspace: Workspace, name: str, data: bytes) -> UploadedFile:
    path = workspace.incoming / f"upload-{name.replace('/', '-')}"
    path.write_bytes(data)
    return UploadedFile(name, path)
