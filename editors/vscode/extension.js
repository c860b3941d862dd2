// Starts clade-lsp-server for .spec files and hands it the settings.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const settings = workspace.getConfiguration("clade");
  client = new LanguageClient(
    "clade-spec",
    "Clade spec",
    { command: settings.get("server") },
    {
      documentSelector: [{ scheme: "file", language: "clade-spec" }],
      initializationOptions: {
        specs: settings.get("specs"),
        config: settings.get("config"),
        checkpoint: settings.get("checkpoint"),
      },
    }
  );
  return client.start();
}

function deactivate() {
  return client && client.stop();
}

module.exports = { activate, deactivate };
