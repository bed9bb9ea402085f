// Verifying a trail in files: its log, in one file or several, and its head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/audit/log_verifier.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::audit {

// A file that cannot be read is an error and not a finding: it may be there, and be right.
struct FilesReport {
  VerifyReport report;
  std::vector<std::string> files;  // in the order of the trail; findings have indices of it
  std::string unreadable;          // such a file; empty: there is none
  Status why;
};

// Reads the files, which may be named in any order, by pieces. `head` is the content of the head's
// file, empty for none, as it was before. `newer_head`, if any, is called after the log is read and
// returns what the head's file has then: a writer at work may have written more lines meanwhile
// than a crash leaves. Passive level. Throws bad_alloc.
FilesReport VerifyFiles(std::span<const std::string> files, std::span<const std::byte> secret,
                        std::string_view head, const VerifyOptions& options,
                        const std::function<FileText()>& newer_head = nullptr);

}  // namespace ktlsim::audit
