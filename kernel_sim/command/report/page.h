// Page: the whole report as one HTML file, which needs no network.
//
// Texts of the results reach the page as JSON in a script element that is not run, and from there
// as text nodes: nothing in a result can become markup or a program.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/command/report/run_data.h"

namespace ktlsim::command::report {

// Where Debian's libjs-chart.js has it.
inline constexpr const char* kChartJsFile = "/usr/share/javascript/chart.js/chart.min.js";

// `chart_js`: the program of Chart.js 3, put into the page as it is.
std::string PageOf(std::span<const RunData> runs, std::string_view chart_js);

}  // namespace ktlsim::command::report
