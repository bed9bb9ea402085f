// `ktlsim report`: pages of results.

#include <functional>
#include <memory>

#include <CLI/CLI.hpp>

#include "kernel_sim/command/command.h"
#include "kernel_sim/command/report/page_command.h"

namespace ktlsim::command {

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
      ->type_name("")
      ->required();
  command->add_option("-o,--output", options->page, "Write the page there; - is standard output")
      ->type_name("FILE");
  command->add_option("--svg", options->svg, "Write each chart there, as a drawing of its own")
      ->type_name("FOLDER");
  command
      ->add_option(
          "--chart-js", options->chart_js,
          "Chart.js 3, which the page will contain [/usr/share/javascript/chart.js/chart.min.js]")
      ->type_name("FILE");
  return [options] { return report::MakePage(*options); };
}

}  // namespace ktlsim::command
