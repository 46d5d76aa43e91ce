"""The Language Server Protocol over stdin and stdout, through pygls. Everything it says comes from `knowledge` and `validate`."""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path
from pygls.workspace import TextDocument

from mlplan import __version__
from mlplan.app.compose import Settings
from mlplan.app.language_server.knowledge import Knowledge, Suggestion
from mlplan.app.language_server.place import place_at, word_at
from mlplan.app.validate import validate
from mlplan.config.files import EDITED
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.fmt import format_text
from mlplan.lang.source import SourceFile, Span

SUFFIX = ".mlplan.hcl"
KINDS = {
    "block": types.CompletionItemKind.Class,
    "argument": types.CompletionItemKind.Property,
    "value": types.CompletionItemKind.EnumMember,
    "function": types.CompletionItemKind.Function,
    "reference": types.CompletionItemKind.Reference,
}


class Server(LanguageServer):
    """A server that remembers for which files it has shown diagnostics, to take them back."""

    def __init__(self) -> None:
        super().__init__("mlplan", __version__)
        self.shown: dict[Path, set[str]] = {}

    def texts(self, folder: Path) -> dict[Path, str]:
        """Return what the editor holds of a folder."""
        held = self.workspace.text_documents.values()
        return {path: d.source for d in held if (path := _path(d.uri)).parent == folder and path.name.endswith(SUFFIX)}

    def knowledge(self, folder: Path) -> Knowledge:
        """Return what the files of a folder declare, as the editor holds them."""
        texts = self.texts(folder)
        for path in folder.glob(f"*{SUFFIX}"):
            if path not in texts:
                texts[path] = path.read_text(encoding="utf-8-sig", errors="replace")
        return Knowledge.of(SourceFile(str(path), text) for path, text in texts.items())

    def check(self, uri: str) -> None:
        """Tell the editor what is wrong with the files of a folder, and that what was wrong is not any more."""
        folder = _path(uri).parent
        texts = self.texts(folder)
        token = EDITED.set(texts)
        try:
            found = validate(Settings(folder))
        finally:
            EDITED.reset(token)
        by_file: dict[str, list[types.Diagnostic]] = {name: [] for name in self.shown.get(folder, ())}
        by_file |= {path.name: [] for path in texts}
        for diagnostic in found:
            name = diagnostic.span.path if diagnostic.span is not None else _path(uri).name
            by_file.setdefault(name, []).append(self._diagnostic(diagnostic, folder))
        self.shown[folder] = {name for name, diagnostics in by_file.items() if diagnostics}
        for name, diagnostics in by_file.items():
            place = from_fs_path(str(folder / name)) or uri
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(place, diagnostics))

    def _diagnostic(self, diagnostic: Diagnostic, folder: Path) -> types.Diagnostic:
        words = [diagnostic.summary + ".", diagnostic.detail, diagnostic.hint or ""]
        return types.Diagnostic(
            range=self.range(diagnostic.span, folder),
            message="\n".join(word for word in words if word),
            severity=types.DiagnosticSeverity.Error if diagnostic.is_error else types.DiagnosticSeverity.Warning,
            code=diagnostic.code,
            source="mlplan",
        )

    def range(self, span: Span | None, folder: Path) -> types.Range:
        """Return a span as the protocol counts: lines from zero, characters in the client's units."""
        if span is None:
            return types.Range(types.Position(0, 0), types.Position(0, 0))
        document = self.workspace.get_text_document(from_fs_path(str(folder / span.path)) or "")
        return document.position_codec.range_to_client_units(
            document.lines, types.Range(_position(document, span.start), _position(document, span.end))
        )


def _position(document: TextDocument, offset: int) -> types.Position:
    line, column = SourceFile("", document.source).line_column(min(offset, len(document.source)))
    return types.Position(line - 1, column - 1)


def _path(uri: str) -> Path:
    return Path(to_fs_path(uri) or "/")


def make_server() -> Server:
    """Return a server with its features."""
    server = Server()

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        _check(server, params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        _check(server, params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        _check(server, params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", '"', "="]))
    def completion(params: types.CompletionParams) -> list[types.CompletionItem]:
        document = server.workspace.get_text_document(params.text_document.uri)
        place = place_at(document.source, document.offset_at_position(params.position))
        known = server.knowledge(_path(params.text_document.uri).parent)
        return [_item(suggestion) for suggestion in known.complete(place)]

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(params: types.HoverParams) -> types.Hover | None:
        document = server.workspace.get_text_document(params.text_document.uri)
        word, start, _ = word_at(document.source, document.offset_at_position(params.position))
        known = server.knowledge(_path(params.text_document.uri).parent)
        text = known.hover(place_at(document.source, start), word)
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text)) if text is not None else None

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(params: types.DefinitionParams) -> types.Location | None:
        document = server.workspace.get_text_document(params.text_document.uri)
        word, _, _ = word_at(document.source, document.offset_at_position(params.position))
        folder = _path(params.text_document.uri).parent
        span = server.knowledge(folder).definition(word)
        if span is None:
            return None
        return types.Location(from_fs_path(span.path) or "", server.range(span, folder))

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def formatting(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
        document = server.workspace.get_text_document(params.text_document.uri)
        after = format_text(document.source)
        if after == document.source:
            return []
        whole = types.Range(types.Position(0, 0), types.Position(len(document.lines) + 1, 0))
        return [types.TextEdit(whole, after)]

    return server


def _check(server: Server, uri: str) -> None:
    if _path(uri).name.endswith(SUFFIX):
        server.check(uri)


def _item(suggestion: Suggestion) -> types.CompletionItem:
    snippet = "$" in suggestion.text
    return types.CompletionItem(
        label=suggestion.label,
        kind=KINDS[suggestion.sort],
        detail=suggestion.detail or None,
        insert_text=suggestion.text or None,
        insert_text_format=types.InsertTextFormat.Snippet if snippet else types.InsertTextFormat.PlainText,
    )


def serve() -> None:
    """Serve until the editor says exit."""
    make_server().start_io()
