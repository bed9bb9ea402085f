// FileContent: responds to the requests of one connection with files of a FileTree.
//
// Private to serve/.
#pragma once

#include <cstdint>
#include <utility>

#include "io/loop.h"
#include "kernel_sim/base/passive_worker.h"
#include "kernel_sim/base/rundown.h"
#include "kernel_sim/serve/file_service.h"
#include "kernel_sim/serve/file_tree.h"
#include "kernel_sim/serve/http_content.h"

namespace ktlsim::serve {

// What the contents of one service share. `contents` counts them.
struct FileShare {
  FileShare(FileTree files, unsigned threads, FileWatcher* file_watcher)
      : tree(std::move(files)), watcher(file_watcher), workers(threads) {}

  const FileTree tree;
  FileWatcher* const watcher;  // or null
  Rundown contents;
  PassiveWorker workers;
};

// For a connection on `loop`. `share` must live until a read in progress at Release has ended:
// FileShare::contents shows that. Null: no memory, or `contents` is closed.
HttpContent* MakeFileContent(FileShare& share, io::Loop& loop);

}  // namespace ktlsim::serve
