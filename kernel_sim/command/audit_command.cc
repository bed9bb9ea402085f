// `ktlsim audit verify`: what was done to an audit trail, if anything was.

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/audit/verify_files.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/small_result.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

struct AuditCommandOptions {
  std::string action;
  std::vector<std::string> files;
  std::string key;
  std::string head;
  bool no_head = false;
  bool partial = false;
  std::string json;
};

int FailAudit(const std::string& why) {
  fmt::print(stderr, "ktlsim audit: {}\n", why);
  return kExitUsage;
}

std::string ReadWhole(const std::string& path, std::size_t bytes_max, FileText* text) {
  Result<FileText> read = ReadFile(path.c_str(), bytes_max);
  if (!read.ok()) return fmt::format("{}: {}", Printable(path), read.status().ToString());
  *text = std::move(read).value();
  return {};
}

// A head that a writer at work may be writing just now.
std::string ReadHeadFile(const std::string& path, FileText* head) {
  constexpr int kTries = 20;
  std::string wrong = ReadWhole(path, audit::kHeadBytes, head);
  for (int i = 1; i < kTries && !wrong.empty(); ++i) {
    wrong = ReadWhole(path, audit::kHeadBytes, head);
  }
  return wrong;
}

std::string ReadKey(const AuditCommandOptions& options, FileText* key) {
  if (options.key.empty()) return "--audit-key: the file with which the trail was begun is needed";
  std::string wrong = ReadWhole(options.key, audit::kSecretBytesMax, key);
  if (wrong.empty() && key->text().size() < audit::kSecretBytesMin) {
    wrong = fmt::format("{} has less than 32 bytes", Printable(options.key));
  }
  return wrong.empty() ? wrong : "--audit-key: " + wrong;
}

// The head that is named, or the one beside a file.
std::string ReadHead(const AuditCommandOptions& options, std::string* path, FileText* head) {
  if (options.no_head) return options.head.empty() ? "" : "--head and --no-head exclude each other";
  if (!options.head.empty()) {
    *path = options.head;
    const std::string wrong = ReadHeadFile(options.head, head);
    return wrong.empty() ? wrong : "--head: " + wrong;
  }
  for (const std::string& file : options.files) {
    *path = file + ".head";
    if (ReadHeadFile(*path, head).empty()) return {};
  }
  return fmt::format(
      "there is no {}.head: name the head with --head, or go without one with --no-head; then a "
      "trail whose end was cut off looks good",
      Printable(options.files.front()));
}

std::string LinesText(std::uint64_t first, std::uint64_t last) {
  return first == last ? fmt::format("record {}", first)
                       : fmt::format("records {} to {}", first, last);
}

// What a finding means, in words.
std::string FindingText(const audit::Finding& one) {
  using audit::FindingKind;
  const std::string records = LinesText(one.first, one.last);
  switch (one.kind) {
    case FindingKind::kAltered:
      return records + " was changed";
    case FindingKind::kInserted:
      return "a line that the trail does not have";
    case FindingKind::kRemoved:
      return fmt::format("{} {} missing before this line", records,
                         one.first == one.last ? "is" : "are");
    case FindingKind::kReordered:
      return records + " stands behind a later one";
    case FindingKind::kDuplicated:
      return records + " is there once more";
    case FindingKind::kCutTail:
      return fmt::format("the end was cut off: {} {} missing", records,
                         one.first == one.last ? "is" : "are");
    case FindingKind::kUnlinked:
      return one.first == one.last
                 ? fmt::format("the head knows another {}: this one was put back", records)
                 : records + " are not of one chain: one was put back after a crash";
    case FindingKind::kWrongKey:
      return "the trail was begun with another audit key";
    case FindingKind::kNoTrail:
      return "neither the log nor a head says which trail this is";
    case FindingKind::kForeignHead:
      return "the head is another trail's";
    case FindingKind::kHeadAltered:
      return "the head was changed, or is damaged";
    case FindingKind::kHeadBehind:
      return fmt::format("the head is older than the log: it does not know of {}", records);
  }
  return "?";
}

std::string PlaceText(const audit::Finding& one, const std::vector<std::string>& files) {
  if (one.line == 0 || one.file >= files.size()) return "head";
  return fmt::format("{}:{}", Printable(files[one.file]), one.line);
}

void PrintReport(const audit::FilesReport& result, std::FILE* out) {
  const audit::VerifyReport& report = result.report;
  if (!report.findings.empty()) fmt::print(out, "{:<13} {:<30} what\n", "finding", "where");
  for (const audit::Finding& one : report.findings) {
    fmt::print(out, "{:<13} {:<30} {}\n", audit::NameOf(one.kind), PlaceText(one, result.files),
               FindingText(one));
  }
  if (report.found > report.findings.size()) {
    fmt::print(out, "and {} more\n", report.found - report.findings.size());
  }
  fmt::print(out, "{} genuine record{}", report.genuine, report.genuine == 1 ? "" : "s");
  if (report.genuine != 0) fmt::print(out, ", {} to {}", report.first, report.last);
  fmt::print(out, "\n");
  if (report.head) {
    fmt::print(out, "the head says {}; the writer {}\n", *report.head,
               report.closed ? "ended in order" : "has not ended, or not in order");
  } else {
    fmt::print(out, "no head: whether the end was cut off cannot be seen\n");
  }
  if (report.unsealed != 0) fmt::print(out, "{} record(s) behind the head\n", report.unsealed);
  if (report.torn_bytes != 0) {
    fmt::print(out, "{} bytes of a last line that is not whole\n", report.torn_bytes);
  }
  fmt::print(out, "{}\n", report.ok() ? "the trail is good" : "the trail is NOT good");
}

nlohmann::json ReportJson(const audit::FilesReport& result) {
  const audit::VerifyReport& report = result.report;
  nlohmann::json findings = nlohmann::json::array();
  for (const audit::Finding& one : report.findings) {
    const bool in_file = one.line != 0 && one.file < result.files.size();
    findings.push_back(
        {{"kind", audit::NameOf(one.kind)},
         {"file", in_file ? nlohmann::json(Printable(result.files[one.file])) : nlohmann::json()},
         {"line", in_file ? nlohmann::json(one.line) : nlohmann::json()},
         {"first", one.first},
         {"last", one.last},
         {"text", FindingText(one)}});
  }
  nlohmann::json files = nlohmann::json::array();
  for (const std::string& file : result.files) files.push_back(Printable(file));
  nlohmann::json json = SmallEnvelope("audit");
  json["files"] = std::move(files);
  json["valid"] = report.ok();
  json["found"] = report.found;
  json["findings"] = std::move(findings);
  json["genuine"] = report.genuine;
  json["first"] = report.genuine != 0 ? nlohmann::json(report.first) : nlohmann::json();
  json["last"] = report.genuine != 0 ? nlohmann::json(report.last) : nlohmann::json();
  json["head"] = report.head ? nlohmann::json(*report.head) : nlohmann::json();
  json["closed"] = report.closed;
  json["unsealed"] = report.unsealed;
  json["torn_bytes"] = report.torn_bytes;
  return json;
}

int Verify(const AuditCommandOptions& options) {
  FileText key;
  FileText head;
  std::string head_path;
  std::string wrong = ReadKey(options, &key);
  if (wrong.empty()) wrong = ReadHead(options, &head_path, &head);
  if (wrong.empty() && !options.json.empty()) {
    wrong = CheckWritable(options.json);
    if (!wrong.empty()) wrong = "--json " + wrong;
  }
  if (!wrong.empty()) return FailAudit(wrong);
  const auto newer_head = [&head_path] {
    FileText newer;
    // What cannot be read is no newer head.
    if (!head_path.empty()) static_cast<void>(ReadHeadFile(head_path, &newer));
    return newer;
  };
  const audit::FilesReport result = audit::VerifyFiles(
      options.files, std::as_bytes(std::span(key.text().data(), key.text().size())), head.text(),
      {.partial = options.partial}, newer_head);
  if (!result.why.ok()) {
    return FailAudit(fmt::format("{}: {}", Printable(result.unreadable), result.why.ToString()));
  }
  PrintReport(result, TextOutput(options.json));
  if (!options.json.empty() && !WriteJsonFile(ReportJson(result), options.json)) {
    return kExitFailed;
  }
  return result.report.ok() ? kExitOk : kExitFailed;
}

int RunAudit(const AuditCommandOptions& options) {
  if (options.action != "verify") {
    return FailAudit(fmt::format("\"{}\" is not one of verify", Printable(options.action)));
  }
  return Verify(options);
}

}  // namespace

std::function<int()> AddAuditCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("audit", "Verify an audit trail");
  command->group("Commands");
  command->footer(
      "Finds lines that were changed, removed, added, moved or copied, and an end that was cut "
      "off, "
      "and says where. Exit code 1: it found something. The files of a trail that was rotated may "
      "be named in any order.\n\nExample: ktlsim audit verify audit.log audit.log.1 --audit-key "
      "audit.key");
  auto options = std::make_shared<AuditCommandOptions>();
  command->add_option("ACTION", options->action, "verify")->type_name("")->required();
  command->add_option("FILE", options->files, "The log; all of its files")
      ->type_name("")
      ->required();
  command
      ->add_option("--audit-key", options->key, "The file of the key that the trail was begun with")
      ->type_name("FILE");
  command
      ->add_option("--head", options->head,
                   "The trail's head [the name of a log with .head at its end]")
      ->type_name("FILE");
  command->add_flag("--no-head", options->no_head,
                    "Verify without a head; an end that was cut off is not found then");
  command->add_flag("--partial", options->partial, "The first files need not be there");
  command->add_option("--json", options->json, "Write the result there; - is standard output")
      ->type_name("FILE");
  return [options] { return RunAudit(*options); };
}

}  // namespace ktlsim::command
