// ktlsim: the command.

#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <iterator>
#include <new>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "kernel_sim/command/command.h"
#include "kernel_sim/command/command_line.h"
#include "kernel_sim/command/completion.h"
#include "kernel_sim/command/environment.h"
#include "kernel_sim/command/manual.h"
#include "kernel_sim/command/tool_facts.h"

namespace {

// For the build: the manual page from standard input, with its options, to standard output.
int FillManual(const CLI::App& app) {
  const std::string page((std::istreambuf_iterator<char>(std::cin)), {});
  std::fputs(ktlsim::command::FillManual(page, app).c_str(), stdout);
  return ktlsim::command::kExitOk;
}

// For the build, too: what a shell completes.
int PrintCompletion(const CLI::App& app, std::string_view shell) {
  const std::string script = ktlsim::command::ShellCompletion(shell, app);
  if (script.empty()) {
    std::fputs("ktlsim: --completion takes bash, zsh or fish\n", stderr);
    return ktlsim::command::kExitUsage;
  }
  std::fputs(script.c_str(), stdout);
  return ktlsim::command::kExitOk;
}

int Run(int argc, char** argv) {
  CLI::App app("ktlsim simulates a kernel-mode TLS offload: the asynchronous SSPI on io_uring.",
               "ktlsim");
  bool verbose = false;
  app.add_flag(
      "-v,--verbose", verbose,
      "With --version: also what it was built with, what this machine has, and its limits");
  // The order of the two does not matter: this is asked when all is parsed.
  app.set_version_flag(
      "--version",
      [&verbose] {
        return verbose ? ktlsim::command::DescribeTool() : std::string("ktlsim " KTLSIM_VERSION);
      },
      "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this and exit");
  app.require_subcommand(1);
  app.footer("`ktlsim COMMAND --help` explains the options of a command.");
  struct Command {
    const char* name;
    std::function<int()> run;
  };
  const std::array commands = {Command{"run", ktlsim::command::AddRunCommand(app)},
                               Command{"serve", ktlsim::command::AddServeCommand(app)},
                               Command{"load", ktlsim::command::AddLoadCommand(app)},
                               Command{"stress", ktlsim::command::AddStressCommand(app)},
                               Command{"report", ktlsim::command::AddReportCommand(app)},
                               Command{"users", ktlsim::command::AddUsersCommand(app)},
                               Command{"accounts", ktlsim::command::AddAccountsCommand(app)},
                               Command{"access", ktlsim::command::AddAccessCommand(app)},
                               Command{"sddl", ktlsim::command::AddSddlCommand(app)},
                               Command{"audit", ktlsim::command::AddAuditCommand(app)},
                               Command{"status", ktlsim::command::AddStatusCommand(app)}};
  ktlsim::command::UseWrappedHelp(app);
  if (argc == 2 && std::string_view(argv[1]) == "--fill-manual") return FillManual(app);
  if (argc == 3 && std::string_view(argv[1]) == "--completion")
    return PrintCompletion(app, argv[2]);
  if (const std::string wrong = ktlsim::command::CheckEnvironment(); !wrong.empty()) {
    std::fprintf(stderr, "ktlsim: %s\n", wrong.c_str());
    return ktlsim::command::kExitUsage;
  }
  if (const auto code = ktlsim::command::ParseCommandLine(app, argc, argv)) return *code;
  for (const Command& command : commands) {
    if (app.got_subcommand(command.name)) return command.run();
  }
  return ktlsim::command::kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  // A file that may not grow any further is an error of the write, as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return Run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("ktlsim: out of memory\n", stderr);
    return ktlsim::command::kExitFailed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ktlsim: %s\n", error.what());
    return ktlsim::command::kExitFailed;
  }
}
