// What does a request cost that is served from a file, part by part?
//
// BM_ReadRequest: the head of a request as curl sends it. Its floor is BM_BareLlhttp: the same
// bytes through llhttp without callbacks and checks. BM_OpenFile: a file by its path below a
// folder, its facts, and closing it. Its floor is BM_BareOpen: open, fstat, close. BM_ReadFile:
// `bytes` of a file that is in memory. Its floor is BM_BareRead: pread.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>
#include <llhttp.h>

#include "bench/scratch_folder.h"
#include "kernel_sim/serve/file_tree.h"
#include "kernel_sim/serve/http_request_reader.h"

namespace ktlsim::serve {
namespace {

constexpr std::string_view kRequest =
    "GET /department/reports/november.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: "
    "curl/7.88.1\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: "
    "keep-alive\r\n\r\n";

void BM_ReadRequest(benchmark::State& state) {
  const HttpRequestLimits limits;
  HttpRequestText text;
  HttpRequestReader reader(limits, &text);
  const auto bytes = std::as_bytes(std::span(kRequest.data(), kRequest.size()));
  for (auto _ : state) {
    std::size_t consumed = 0;
    if (reader.Read(bytes, &consumed) != HttpRequestReader::Outcome::kRequest) {
      return state.SkipWithError("no request");
    }
  }
}
BENCHMARK(BM_ReadRequest);

void BM_BareLlhttp(benchmark::State& state) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  for (auto _ : state) {
    if (llhttp_execute(&parser, kRequest.data(), kRequest.size()) != HPE_OK) {
      return state.SkipWithError("no request");
    }
  }
}
BENCHMARK(BM_BareLlhttp);

constexpr std::size_t kFileBytes = 1 << 20;

// With a file that a request names.
class Folder {
 public:
  Folder() {
    std::filesystem::create_directory(scratch_.File("reports"));
    std::ofstream(File()) << std::string(kFileBytes, 'x');
  }

  const std::string& path() const { return scratch_.path(); }
  std::string File() const { return scratch_.File("reports/november.html"); }

 private:
  const bench::ScratchFolder scratch_;
};

void BM_OpenFile(benchmark::State& state) {
  const Folder folder;
  const Result<FileTree> tree = FileTree::Open(folder.path());
  if (!tree) return state.SkipWithError("no folder");
  const std::string path = "reports/november.html";
  for (auto _ : state) {
    OpenFile file;
    FileFacts facts;
    if (tree->OpenBelow(path, FileTree::Wait::kMayBlock, &file, &facts) != 0 ||
        facts.bytes != kFileBytes) {
      return state.SkipWithError("no file");
    }
  }
}
BENCHMARK(BM_OpenFile);

void BM_BareOpen(benchmark::State& state) {
  const Folder folder;
  const int root = open(folder.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (auto _ : state) {
    const int file = openat(root, "reports/november.html", O_RDONLY | O_CLOEXEC);
    struct stat facts{};
    if (file < 0 || fstat(file, &facts) != 0 || close(file) != 0) {
      state.SkipWithError("no file");
      break;
    }
  }
  close(root);
}
BENCHMARK(BM_BareOpen);

void BM_ReadFile(benchmark::State& state) {
  const Folder folder;
  const OpenFile file(open(folder.File().c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<std::byte> out(static_cast<std::size_t>(state.range(0)));
  std::uint64_t offset = 0;
  for (auto _ : state) {
    if (ReadCached(file, offset, out) != static_cast<int>(out.size())) {
      return state.SkipWithError("not read");
    }
    offset = (offset + out.size()) % kFileBytes;
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_ReadFile)->ArgName("bytes")->Arg(1024)->Arg(16384)->Arg(65536);

void BM_BareRead(benchmark::State& state) {
  const Folder folder;
  const OpenFile file(open(folder.File().c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<std::byte> out(static_cast<std::size_t>(state.range(0)));
  std::uint64_t offset = 0;
  for (auto _ : state) {
    if (pread(file.descriptor(), out.data(), out.size(), static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(out.size())) {
      return state.SkipWithError("not read");
    }
    offset = (offset + out.size()) % kFileBytes;
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BareRead)->ArgName("bytes")->Arg(1024)->Arg(16384)->Arg(65536);

}  // namespace
}  // namespace ktlsim::serve
