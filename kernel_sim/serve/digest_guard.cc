#include "kernel_sim/serve/digest_guard.h"

#include <algorithm>
#include <new>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/serve/digest_content.h"
#include "kernel_sim/serve/file_path.h"

namespace ktlsim::serve {
namespace {

// "" for "/".
std::string WithoutSlashes(std::string_view path) {
  std::string segments;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
    if (segment.empty()) continue;
    if (!segments.empty()) segments += '/';
    segments += segment;
  }
  return segments;
}

}  // namespace

const char* DigestOutcomeName(DigestOutcome outcome) {
  switch (outcome) {
    case DigestOutcome::kAuthenticated:
      return "authenticated";
    case DigestOutcome::kMaintained:
      return "maintained";
    case DigestOutcome::kChallenged:
      return "challenged";
    case DigestOutcome::kStale:
      return "stale";
    case DigestOutcome::kReplayed:
      return "replayed";
    case DigestOutcome::kRefused:
      return "refused";
    case DigestOutcome::kMalformed:
      return "malformed";
    case DigestOutcome::kUnavailable:
      return "unavailable";
  }
  return "?";
}

DigestStatistics& DigestStatistics::operator+=(const DigestStatistics& other) {
  for (std::size_t i = 0; i < kDigestOutcomes; ++i) requests[i] += other.requests[i];
  return *this;
}

DigestGuard::DigestGuard(const DigestGuardOptions& options) : options_(options) {
  for (const std::string& path : options_.paths) paths_.push_back(WithoutSlashes(path));
}

HttpContent* DigestGuard::Protect(HttpContent* content, transport::Connection& connection) {
  return content != nullptr ? MakeDigestContent(*this, *content, connection) : nullptr;
}

bool DigestGuard::Covers(std::string_view target) const {
  if (paths_.empty()) return true;
  const FilePath resolved = ResolveTarget(target);
  if (resolved.refusal != 0) return true;
  return std::ranges::any_of(paths_, [&](const std::string& path) {
    return path.empty() || resolved.path == path ||
           (resolved.path.starts_with(path) && resolved.path[path.size()] == '/');
  });
}

void DigestGuard::Stop() {
  contents_.Close();
  contents_.WaitUntilDrained();
}

DigestStatistics DigestGuard::Statistics() const {
  DigestStatistics statistics;
  for (std::size_t i = 0; i < kDigestOutcomes; ++i) {
    statistics.requests[i] = requests_[i].load(std::memory_order_relaxed);
  }
  return statistics;
}

void DigestGuard::Count(DigestOutcome outcome, const transport::Connection* connection,
                        std::string_view target, SECURITY_STATUS status) {
  requests_[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
  const bool everyday = outcome == DigestOutcome::kAuthenticated ||
                        outcome == DigestOutcome::kMaintained ||
                        outcome == DigestOutcome::kChallenged || outcome == DigestOutcome::kStale;
  if (everyday || connection == nullptr || options_.watcher == nullptr) return;
  options_.watcher->OnDigest(outcome, *connection, target, status);
}

bool DigestTokenOf(std::string_view authorization, std::string_view* token) {
  constexpr std::string_view kScheme = "digest";
  if (authorization.size() < kScheme.size()) return false;
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    if (Lower(authorization[i]) != kScheme[i]) return false;
  }
  std::string_view rest = authorization.substr(kScheme.size());
  if (!rest.empty() && rest.front() != ' ' && rest.front() != '\t') return false;
  const std::size_t begin = rest.find_first_not_of(" \t");
  *token = begin == std::string_view::npos ? std::string_view() : rest.substr(begin);
  return true;
}

}  // namespace ktlsim::serve
