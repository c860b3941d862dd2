-- Specs are of the type 'clade-spec', and each has clade-lsp-server attached. Settings in
-- vim.g.clade: server, specs (a list of folders), config, checkpoint.
local settings = vim.g.clade or {}

-- Neovim takes '.spec' for a file of RPM.
vim.api.nvim_create_autocmd({ "BufRead", "BufNewFile" }, {
  pattern = "*.spec",
  callback = function(event)
    vim.bo[event.buf].filetype = "clade-spec"
  end,
})

local function options()
  return {
    name = "clade",
    cmd = { settings.server or "clade-lsp-server" },
    init_options = {
      specs = settings.specs or vim.empty_dict(),
      config = settings.config,
      checkpoint = settings.checkpoint,
    },
  }
end

local client
local function attach(buffer)
  if vim.lsp.start then -- Since 0.8.
    vim.lsp.start(options())
    return
  end
  client = client or vim.lsp.start_client(options())
  if client then
    vim.lsp.buf_attach_client(buffer, client)
  end
end

vim.api.nvim_create_autocmd("FileType", {
  pattern = "clade-spec",
  callback = function(event)
    vim.bo[event.buf].commentstring = "// %s"
    vim.bo[event.buf].omnifunc = "v:lua.vim.lsp.omnifunc"
    attach(event.buf)
  end,
})
