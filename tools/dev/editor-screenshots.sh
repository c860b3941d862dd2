#!/usr/bin/env bash
#===- editor-screenshots.sh - Pictures of an editor session -----------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Usage: editor-screenshots.sh [FOLDER]
#
# Opens a spec with a mistake in Neovim, in a terminal on a screen that nobody
# sees, with clade-lsp-server attached, and keeps what there is to see: messages,
# what hovers over a word, completions. Writes FOLDER/editor-*.png
# (docs/pictures); needs build/release and the packages of
# 'install-packages editor'.
#
#===------------------------------------------------------------------------===#
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(realpath -m "${1:-$root/docs/pictures}")
bin=${CLADE_BIN:-$root/build/release/bin}
say() { echo "editor-screenshots: $*" >&2; }

"$root/tools/dev/install-packages" editor
work=$(mktemp -d)
started=()
finish() {
  [[ ${#started[@]} -eq 0 ]] || kill "${started[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

#===------------------------------------------------------------------------===#
# What is opened
#===------------------------------------------------------------------------===#
cd "$work"
"$bin/clade" tiny qwen3 -o model --set rope_parameters.rope_theta=1e6 >/dev/null
cat >aurora.spec <<'SPEC'
// config: model/config.json
// checkpoint: model
family aurora from qwen3 {
  serves "Qwen3ForCausalLM"
  config {
    scale = head ^ -0.5
  }
  block heads(x) {
    q, k, v = llama.heads(x)
    return norm(q) at q_norm, nrm(k) at k_norm, v
  }
}
SPEC
cat >init.vim <<INIT
set runtimepath+=$root/editors/neovim
set noswapfile termguicolors laststatus=0 noruler noshowcmd signcolumn=yes mouse= shortmess+=I cmdheight=1
set completeopt=menu,menuone,noinsert
colorscheme desert
highlight NormalFloat guifg=#eeeeee guibg=#1f2a36
highlight Pmenu guifg=#dddddd guibg=#1f2a36
highlight PmenuSel guifg=#111111 guibg=#8fb0d8
highlight SignColumn guibg=#333333
highlight NonText guibg=#333333
highlight DiagnosticError guifg=#ff8c80
" Underscores in what hovers.
highlight link markdownError NONE
highlight DiagnosticUnderlineError gui=undercurl guisp=#ff6c60
lua vim.g.clade = { server = "$bin/clade-lsp-server" }
lua vim.diagnostic.config({ virtual_text = { prefix = " " }, update_in_insert = true })
INIT

#===------------------------------------------------------------------------===#
# The screen and the editor
#===------------------------------------------------------------------------===#
mkfifo display
Xvfb -displayfd 3 -screen 0 1200x330x24 -nolisten tcp 3<>display >/dev/null 2>&1 &
started+=($!)
read -r -t 20 number <display || { say "Xvfb does not start"; exit 1; }
export DISPLAY=:$number
xterm -fa "DejaVu Sans Mono" -fs 11 -geometry 126x16+0+0 -bg "#333333" -b 4 \
  -e nvim --clean -u init.vim --listen "$work/nvim" aurora.spec &
started+=($!)

# Up to 0.9 the answer goes to stderr.
ask() { nvim --server "$work/nvim" --remote-expr "$1" 2>&1; }
keys() { nvim --server "$work/nvim" --remote-send "$1" >/dev/null; }
# Waits until an expression of the editor is true.
await() {
  for _ in $(seq 100); do
    [[ $(ask "$1") != 1 ]] || return 0
    sleep 0.1
  done
  say "the editor never says that '$1'"
  exit 1
}
# A palette is enough for text, and a tenth of the size.
shoot() { # NAME
  sleep 0.5
  import -window root png:- |
    convert png:- -trim +repage -bordercolor "#333333" -border 6 +dither -colors 48 -strip \
      -define png:compression-level=9 "PNG8:$folder/editor-$1.png"
  say "$folder/editor-$1.png: $(stat -c %s "$folder/editor-$1.png") bytes"
}

mkdir -p "$folder"
await 'luaeval("#vim.diagnostic.get(0) > 0 and 1 or 0")'
shoot diagnostics

# The mistake put right, what hovers over 'norm' in the line of the heads.
keys ':%s/nrm(k)/norm(k)/<CR>:nohlsearch<CR>'
await 'luaeval("#vim.diagnostic.get(0) == 0 and 1 or 0")'
keys '10G05l:call search("norm(q)", "", 10)<CR>:echo<CR>'
ask 'luaeval("vim.lsp.buf.hover()")' >/dev/null
await 'luaeval("#vim.api.nvim_list_wins() > 1 and 1 or 0")'
shoot hover

# Names of the checkpoint's tensors behind 'at'.
keys '<Esc>:only<CR>10G:s/q_norm/model.layers.{layer}.self_attn./<CR>:nohlsearch<CR>:call search("attn\\.", "e", 10)<CR>:echo<CR>a'
sleep 0.5
keys '<C-x><C-o>'
await 'pumvisible()'
shoot completion
keys '<Esc>:quitall!<CR>'
