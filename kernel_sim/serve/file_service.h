// FileService: the files below one folder, over HTTP: GET and HEAD, conditional requests, single
// ranges, index.html for a folder.
//
// No processor waits for a disk: opening and reading are first tried in what is in memory
// (RESOLVE_CACHED, RWF_NOWAIT), straight into the bytes that will be sealed; what is not there is
// fetched by a worker thread in pieces of kFileReadBytes. So a connection holds at most one such
// piece, and the page cache does the reading ahead.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "kernel_sim/base/result.h"
#include "kernel_sim/serve/http_responder.h"
#include "kernel_sim/serve/service.h"

namespace ktlsim::serve {

inline constexpr std::size_t kFileReadBytes = 128 * 1024;
// How many reads from disks may go on at once, over all connections.
inline constexpr unsigned kFileWorkersMax = 8;

// Called for files that exist and could not be served, on any loop's thread at dispatch level. The
// client got a status (500, 503), or a cut response if its body had begun.
class FileWatcher {
 public:
  // `path` as the client wrote it, below the root.
  virtual void OnFileFailed(std::string_view path, Status failure) = 0;

 protected:
  ~FileWatcher() = default;
};

// kIo: `root` is not a folder that can be read; kResource. Passive level. `watcher` may be null, or
// must outlive the service.
Result<std::unique_ptr<Service>> MakeFileService(const std::string& root,
                                                 const HttpOptions& options,
                                                 FileWatcher* watcher = nullptr);

}  // namespace ktlsim::serve
