// `ktlsim report`: pages of results.

#include <cstddef>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/file.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/report/page_command.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/result_merge.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kResultBytesMax = std::size_t{256} << 20;

// A result has no deeper ones.
constexpr int kDepthMax = 32;
bool LimitDepth(int depth, nlohmann::json::parse_event_t /*event*/, nlohmann::json& /*parsed*/) {
  return depth < kDepthMax;
}

struct MergeOptions {
  std::vector<std::string> files;
  std::string output = "-";
};

// The exit code.
int Merge(const MergeOptions& options) {
  const auto fail = [](const std::string& why) {
    fmt::print(stderr, "ktlsim report merge: {}\n", why);
    return int{kExitUsage};
  };
  std::vector<nlohmann::json> results;
  for (const std::string& file : options.files) {
    const Result<FileText> text = ReadFile(file.c_str(), kResultBytesMax);
    if (!text.ok()) return fail(fmt::format("{}: {}", Printable(file), text.status().ToString()));
    results.push_back(nlohmann::json::parse(text->text(), LimitDepth, /*allow_exceptions=*/false));
    if (results.back().is_discarded()) return fail(Printable(file) + ": is not JSON");
  }
  nlohmann::json merged;
  const std::string wrong = MergeResults(results, options.files, &merged);
  if (!wrong.empty()) return fail(wrong);
  if (!WriteJsonFile(merged, options.output)) return fail(options.output + ": cannot be written");
  const bool valid = merged["valid"].get<bool>();
  fmt::print(stderr, "ktlsim report merge: {} results, {}\n", results.size(),
             valid ? "valid" : "NOT VALID: see its reasons");
  return valid ? kExitOk : kExitFailed;
}

std::function<int()> AddMerge(CLI::App& report) {
  CLI::App* command = report.add_subcommand(
      "merge", "Results of `load` that were measured at the same time, made into one");
  auto options = std::make_shared<MergeOptions>();
  command->add_option("FILE", options->files, "Results of `ktlsim load --json`")
      ->type_name("")
      ->required();
  command
      ->add_option("-o,--output", options->output,
                   "Write the result there; - is standard output [-]")
      ->type_name("FILE");
  return [options] { return Merge(*options); };
}

}  // namespace

std::function<int()> AddReportCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("report", "Results as a page with charts");
  command->group("Commands");
  command->footer(
      "Takes the JSON of `load`, `run` and `./dev compare`. Several runs stand side by side, with "
      "their differences "
      "from the first one and how sure these are. A run may have several files, which are its "
      "repeats.\n\n"
      "Example: ktlsim report before=a1.json,a2.json after=b1.json,b2.json -o page.html");
  auto options = std::make_shared<report::PageOptions>();
  command
      ->add_option("FILE", options->runs,
                   "Results: FILE[,FILE...] or NAME=FILE[,FILE...], one for each run")
      ->type_name("");
  command->add_option("-o,--output", options->page, "Write the page there; - is standard output")
      ->type_name("FILE");
  command->add_option("--svg", options->svg, "Write each chart there, as a drawing of its own")
      ->type_name("FOLDER");
  command
      ->add_option(
          "--chart-js", options->chart_js,
          "Chart.js 3, which the page will contain [/usr/share/javascript/chart.js/chart.min.js]")
      ->type_name("FILE");
  const std::function<int()> merge = AddMerge(*command);
  return [command, options, merge] {
    if (command->got_subcommand("merge")) return merge();
    if (options->runs.empty()) {
      fmt::print(stderr,
                 "ktlsim report: results are needed: ktlsim report a.json b.json -o page.html\n");
      return int{kExitUsage};
    }
    return report::MakePage(*options);
  };
}

}  // namespace ktlsim::command
