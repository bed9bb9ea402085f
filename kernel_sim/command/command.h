// The parts of main: each subcommand adds itself, and runs when it is chosen.
#pragma once

#include <functional>

namespace CLI {
class App;
}  // namespace CLI

namespace ktlsim::command {

// Exit codes.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // it ran, and its own checks failed
inline constexpr int kExitUsage = 2;   // it could not start as asked

// Adds the subcommand and returns the function that runs it, to be called after parsing. Its result
// is the exit code.
std::function<int()> AddRunCommand(CLI::App& app);
std::function<int()> AddServeCommand(CLI::App& app);
std::function<int()> AddLoadCommand(CLI::App& app);
std::function<int()> AddStressCommand(CLI::App& app);
std::function<int()> AddReportCommand(CLI::App& app);
std::function<int()> AddStatusCommand(CLI::App& app);
std::function<int()> AddUsersCommand(CLI::App& app);
std::function<int()> AddAccountsCommand(CLI::App& app);
std::function<int()> AddAccessCommand(CLI::App& app);
std::function<int()> AddSddlCommand(CLI::App& app);
std::function<int()> AddAuditCommand(CLI::App& app);

}  // namespace ktlsim::command
