#include "kernel_sim/audit/verify_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "kernel_sim/audit/audit_line.h"
#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/descriptor.h"

namespace ktlsim::audit {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

// Calls a function with each line of a file.
class LineReader {
 public:
  explicit LineReader(const std::string& path)
      : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}

  // Looks at the kind of the file.
  Status Check() const {
    struct stat facts{};
    if (!file_.valid() || fstat(file_.number(), &facts) != 0)
      return IoError(errno, "open the file");
    if (S_ISREG(facts.st_mode)) return {};
    return {Category::kContract, 0, "it is no regular file"};
  }

  template <typename Take>
  Status ReadAll(const Take& take) {
    for (;;) {
      const std::size_t had = text_.size();
      text_.resize(had + kPieceBytes);
      const ssize_t got = read(file_.number(), text_.data() + had, kPieceBytes);
      text_.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return IoError(errno, "read the file");
      TakeLines(take);
      if (got != 0) continue;
      if (!text_.empty() || skipping_) take(std::string_view(text_), false);
      return {};
    }
  }

 private:
  template <typename Take>
  void TakeLines(const Take& take) {
    std::string_view rest = text_;
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      // Of a line that is longer than one can be, the end is enough to see that it is none.
      take(rest.substr(0, end), true);
      skipping_ = false;
      rest.remove_prefix(end + 1);
    }
    if (rest.size() > kLineBytesMax) {
      skipping_ = true;
      rest = rest.substr(0, 1);
    }
    text_.erase(0, text_.size() - rest.size());
    if (skipping_) text_.assign(1, '?');
  }

  const Descriptor file_;
  std::string text_;
  bool skipping_ = false;
};

// The sequence number with which a file begins. None: it does not begin with one.
std::optional<std::uint64_t> FirstSequence(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  char begin[32];
  const ssize_t got = file.valid() ? pread(file.number(), begin, sizeof(begin), 0) : -1;
  constexpr std::string_view kBegin = "{\"seq\":";
  if (got <= 0) return std::nullopt;
  std::string_view text(begin, static_cast<std::size_t>(got));
  if (!text.starts_with(kBegin)) return std::nullopt;
  text.remove_prefix(kBegin.size());
  std::uint64_t sequence = 0;
  if (ReadNumber(text.substr(0, text.find(',')), &sequence) != std::errc()) return std::nullopt;
  return sequence;
}

// By their first lines; one that does not tell stays behind the one before it.
std::vector<std::string> InOrder(std::span<const std::string> files) {
  struct Numbered {
    std::uint64_t first;
    std::size_t index;
  };
  std::vector<Numbered> numbered;
  std::uint64_t last = 0;
  for (const std::string& path : files) {
    last = FirstSequence(path).value_or(last);
    numbered.push_back({last, numbered.size()});
  }
  std::ranges::sort(numbered, [](const Numbered& a, const Numbered& b) {
    return std::tie(a.first, a.index) < std::tie(b.first, b.index);
  });
  std::vector<std::string> ordered;
  ordered.reserve(numbered.size());
  for (const Numbered& one : numbered) ordered.push_back(files[one.index]);
  return ordered;
}

}  // namespace

FilesReport VerifyFiles(std::span<const std::string> files, std::span<const std::byte> secret,
                        std::string_view head, const VerifyOptions& options,
                        const std::function<FileText()>& newer_head) {
  FilesReport result;
  result.files = InOrder(files);
  const std::unique_ptr<LogVerifier> verifier = LogVerifier::Create(secret, head, options);
  if (verifier == nullptr) {
    result.why = ResourceError("prepare the MACs");
    return result;
  }
  for (const std::string& path : result.files) {
    LineReader reader(path);
    result.why = reader.Check();
    if (result.why.ok()) {
      verifier->BeginFile();
      result.why = reader.ReadAll(
          [&](std::string_view line, bool whole) { verifier->TakeLine(line, whole); });
    }
    if (!result.why.ok()) {
      result.unreadable = path;
      return result;
    }
  }
  if (newer_head) verifier->TakeNewerHead(newer_head().text());
  result.report = verifier->Finish();
  return result;
}

}  // namespace ktlsim::audit
