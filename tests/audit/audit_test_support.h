// Trails in a folder of their own, and what tests look at in them.
#pragma once

#include <array>
#include <cstddef>
#include <fstream>
#include <ios>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/audit/log_verifier.h"
#include "kernel_sim/audit/verify_files.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::audit::test {

inline std::span<const std::byte> SecretBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline constexpr std::string_view kSecretText = "0123456789abcdef0123456789abcdef";
inline constexpr std::string_view kOtherSecretText = "another secret, as long as it must be";

inline std::string ContentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

inline void Overwrite(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// Lines without their line feeds.
inline std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

inline std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text.append(line).append("\n");
  return text;
}

// A trail in a temporary folder.
class TrailScene {
 public:
  TrailScene() {
    options.path = log();
    options.secret = SecretBytes(kSecretText);
    options.linger_ns = 0;
    options.retry_ns = 1'000'000;
    options.queue_depth = 64;
  }

  std::string log() const { return folder.File("audit.log"); }
  std::string head() const { return log() + ".head"; }

  std::unique_ptr<AuditTrail> Open() const {
    Result<std::unique_ptr<AuditTrail>> trail = AuditTrail::Open(options);
    EXPECT_TRUE(trail.ok()) << trail.status().ToString();
    return trail.ok() ? std::move(trail).value() : nullptr;
  }
  // Why it cannot be opened.
  std::string Refusal() const {
    const Result<std::unique_ptr<AuditTrail>> trail = AuditTrail::Open(options);
    return trail.ok() ? "" : trail.status().ToString();
  }

  // Of the files in the folder.
  VerifyReport Verify(std::vector<std::string> files = {}, const VerifyOptions& how = {}) const {
    if (files.empty()) files.push_back(log());
    FilesReport report = VerifyFiles(files, options.secret, ContentOf(head()), how);
    EXPECT_TRUE(report.why.ok()) << report.unreadable << ": " << report.why.ToString();
    return std::move(report.report);
  }

  ktlsim::test::TemporaryFolder folder;
  AuditOptions options;
};

// Writes accesses to objects of these numbers, and waits until they are written.
inline void WriteObjects(AuditTrail& trail, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    const std::string name = "/object/" + std::to_string(i);
    ASSERT_EQ(trail.Write({.success = true, .subsystem = "test", .object = name}), Taken::kQueued);
    if (i % 16 == 0) {
      ASSERT_TRUE(trail.Flush().ok());
    }
  }
  ASSERT_TRUE(trail.Flush().ok());
}

// The content of a log and of its head, made by a trail that ended in order.
struct Made {
  std::string log;
  std::string head;
};

inline Made MakeTrail(int objects, std::string_view secret = kSecretText) {
  TrailScene scene;
  scene.options.secret = SecretBytes(secret);
  scene.options.sync = SyncPolicy::kNever;
  const std::unique_ptr<AuditTrail> trail = scene.Open();
  WriteObjects(*trail, 0, objects);
  EXPECT_TRUE(trail->Close().ok());
  return {ContentOf(scene.log()), ContentOf(scene.head())};
}

inline VerifyReport VerifyText(std::string_view log, std::string_view head,
                               std::string_view secret = kSecretText,
                               const VerifyOptions& how = {.steps_max = 4096}) {
  const std::unique_ptr<LogVerifier> verifier = LogVerifier::Create(SecretBytes(secret), head, how);
  verifier->BeginFile();
  for (std::size_t end = log.find('\n'); end != std::string_view::npos; end = log.find('\n')) {
    verifier->TakeLine(log.substr(0, end), true);
    log.remove_prefix(end + 1);
  }
  if (!log.empty()) verifier->TakeLine(log, false);
  return verifier->Finish();
}

// Such as "altered 3-3 at 4, cut-tail 7-9 at 0".
inline std::string TextOf(const VerifyReport& report) {
  std::string text;
  for (const Finding& one : report.findings) {
    if (!text.empty()) text += ", ";
    text.append(NameOf(one.kind)).append(" ").append(std::to_string(one.first)).append("-");
    text.append(std::to_string(one.last)).append(" at ").append(std::to_string(one.line));
  }
  return text;
}

}  // namespace ktlsim::audit::test
