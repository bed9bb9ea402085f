// ktlsim: the command.

#include <cstdio>
#include <exception>
#include <functional>

#include <CLI/CLI.hpp>

#include "kernel_sim/command/command.h"

namespace {

int Run(int argc, char** argv) {
  CLI::App app("ktlsim simulates a kernel-mode TLS offload: the asynchronous SSPI on io_uring.",
               "ktlsim");
  app.set_version_flag("--version", "ktlsim " KTLSIM_VERSION);
  app.set_help_flag("-h,--help", "Print this and exit");
  app.require_subcommand(1);
  app.footer("`ktlsim COMMAND --help` explains the options of a command.");
  const std::function<int()> run = ktlsim::command::AddRunCommand(app);
  const std::function<int()> serve = ktlsim::command::AddServeCommand(app);
  const std::function<int()> load = ktlsim::command::AddLoadCommand(app);
  const std::function<int()> stress = ktlsim::command::AddStressCommand(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ktlsim::command::kExitOk : ktlsim::command::kExitUsage;
  }
  if (app.got_subcommand("run")) return run();
  if (app.got_subcommand("serve")) return serve();
  return app.got_subcommand("load") ? load() : stress();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ktlsim: %s\n", error.what());
    return ktlsim::command::kExitFailed;
  }
}
