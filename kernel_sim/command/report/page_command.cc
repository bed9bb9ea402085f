#include "kernel_sim/command/report/page_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/file.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/report/chart.h"
#include "kernel_sim/command/report/page.h"
#include "kernel_sim/command/report/run_data.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command::report {
namespace {

constexpr std::size_t kChartJsBytesMax = std::size_t{8} << 20U;

int FailReport(const std::string& why) {
  fmt::print(stderr, "ktlsim report: {}\n", why);
  return kExitUsage;
}

std::string WritePage(const PageOptions& options, const std::vector<RunData>& runs) {
  const Result<FileText> chart_js = ReadFile(options.chart_js.c_str(), kChartJsBytesMax);
  if (!chart_js.ok()) {
    return fmt::format(
        "the page needs Chart.js, and {} cannot be read: {}; install Debian's package "
        "libjs-chart.js, or name "
        "chart.min.js of version 3 with --chart-js; --svg needs nothing",
        Printable(options.chart_js), chart_js.status().ToString());
  }
  // It would end its script element, and the page would show the rest as text.
  constexpr std::string_view kEnd = "</script";
  const std::string_view script = chart_js->text();
  const auto same = [](char a, char b) { return a == b || (a >= 'A' && a <= 'Z' && a + 32 == b); };
  if (std::search(script.begin(), script.end(), kEnd.begin(), kEnd.end(), same) != script.end()) {
    return fmt::format("{}: a script with \"</script\" in it cannot be put into a page",
                       Printable(options.chart_js));
  }
  const std::string page = PageOf(runs, chart_js->text());
  if (options.page == "-") {
    const bool written = std::fwrite(page.data(), 1, page.size(), stdout) == page.size();
    return std::fflush(stdout) == 0 && written ? "" : "standard output cannot be written";
  }
  const Status status = WriteFile(options.page.c_str(), page);
  return status.ok()
             ? ""
             : fmt::format("{}: cannot be written: {}", Printable(options.page), status.ToString());
}

std::string WriteDrawings(const std::string& folder, const std::vector<Chart>& charts) {
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread asks
    return fmt::format("{}: {}", Printable(folder), std::strerror(errno));
  }
  for (const Chart& chart : charts) {
    const std::string path = fmt::format("{}/{}.svg", folder, chart.id);
    const Status status = WriteFile(path.c_str(), SvgOf(chart));
    if (!status.ok())
      return fmt::format("{}: cannot be written: {}", Printable(path), status.ToString());
  }
  return {};
}

}  // namespace

int MakePage(const PageOptions& options) {
  if (options.page.empty() && options.svg.empty()) {
    return FailReport("say what to make: -o PAGE.html, --svg FOLDER, or both");
  }
  std::vector<RunData> runs;
  runs.reserve(options.runs.size());
  for (const std::string& argument : options.runs) {
    RunData run;
    if (const std::string wrong = ReadRun(argument, &run); !wrong.empty()) return FailReport(wrong);
    runs.push_back(std::move(run));
  }
  if (!options.svg.empty()) {
    const std::string wrong = WriteDrawings(options.svg, ChartsOf(runs));
    if (!wrong.empty()) return FailReport("--svg " + wrong);
  }
  if (!options.page.empty()) {
    const std::string wrong = WritePage(options, runs);
    if (!wrong.empty()) return FailReport(wrong);
  }
  return kExitOk;
}

}  // namespace ktlsim::command::report
