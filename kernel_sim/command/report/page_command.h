// `ktlsim report FILE...`: the page and the drawings of results.
#pragma once

#include <string>
#include <vector>

#include "kernel_sim/command/report/page.h"

namespace ktlsim::command::report {

struct PageOptions {
  std::vector<std::string> runs;  // as of ReadRun
  std::string page;               // empty: none
  std::string svg;                // a folder; empty: none
  std::string chart_js = kChartJsFile;
};

// The exit code. Messages go to standard error.
int MakePage(const PageOptions& options);

}  // namespace ktlsim::command::report
