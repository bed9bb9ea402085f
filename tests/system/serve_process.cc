#include "tests/system/serve_process.h"

#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/json_schema.h"
#include "tests/support/paths.h"

namespace ktlsim::system_tests {

ServeProcess::ServeProcess(const std::vector<std::string>& arguments,
                           const std::vector<std::string>& launcher) {
  ChildProcess::Arguments all = launcher;
  all.insert(all.end(), {test::CommandPath(), "serve", "--listen", "127.0.0.1:0", "--json",
                         folder_.File("statistics.json")});
  all.insert(all.end(), arguments.begin(), arguments.end());
  child_ = std::make_unique<ChildProcess>(all);
  const std::string start = "listening on 127.0.0.1:";
  if (!child_->WaitForOutput(start) || !child_->WaitForOutput("\n")) return;
  const std::string& output = child_->output();
  port_ = std::atoi(output.c_str() + output.find(start) + start.size());
}

std::string ServeProcess::url(const std::string& path) const {
  return "https://localhost:" + std::to_string(port_) + path;
}

std::string ServeProcess::ExportCertificate() {
  const Finished client = RunProgram({"openssl", "s_client", "-connect", address()});
  const std::string begin = "-----BEGIN CERTIFICATE-----";
  const std::string end = "-----END CERTIFICATE-----\n";
  const std::size_t from = client.output.find(begin);
  const std::size_t to = client.output.find(end);
  if (from == std::string::npos || to == std::string::npos) {
    ADD_FAILURE() << client.output;
    return {};
  }
  std::ofstream(folder_.File("certificate.pem"))
      << client.output.substr(from, to + end.size() - from);
  return folder_.File("certificate.pem");
}

std::size_t ServeProcess::OpenFiles() const {
  const std::string path = "/proc/" + std::to_string(child_->pid()) + "/fd";
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path),
                                                std::filesystem::directory_iterator()));
}

std::size_t ServeProcess::Status(const std::string& field) const {
  std::ifstream file("/proc/" + std::to_string(child_->pid()) + "/status");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(field + ":")) return std::stoul(line.substr(field.size() + 1));
  }
  ADD_FAILURE() << "no " << field << " of the server";
  return 0;
}

bool ServeProcess::Answers() {
  const Finished curl = RunProgram({"curl", "-s", "-k", "--max-time", "20", url()});
  return curl.code == 0 && !curl.output.empty();
}

int ServeProcess::Stop(nlohmann::json* statistics) {
  if (!stopping_) Signal(SIGTERM);
  const int code = child_->Wait();
  std::ifstream file(folder_.File("statistics.json"));
  *statistics = nlohmann::json::parse(file, nullptr, false);
  return code;
}

nlohmann::json ServeProcess::StopCleanly() {
  nlohmann::json statistics;
  EXPECT_EQ(Stop(&statistics), 0) << output();
  if (!statistics.is_object()) {
    ADD_FAILURE() << "no statistics were written; " << output();
    return nlohmann::json::object();
  }
  EXPECT_EQ(CheckResult("serve", statistics), "");
  EXPECT_TRUE(statistics["rundown_clean"].get<bool>()) << statistics["rundown"];
  for (const auto& [name, left] : statistics["left"].items()) EXPECT_EQ(left, 0) << name;
  EXPECT_EQ(statistics["connections"], statistics["ended"]);
  return statistics;
}

bool WaitForContent(const std::string& path) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::error_code missing;
  while (std::chrono::steady_clock::now() < deadline) {
    const std::uintmax_t bytes = std::filesystem::file_size(path, missing);
    if (!missing && bytes > 0) return true;
    std::this_thread::yield();
  }
  return false;
}

std::string Pattern(std::size_t bytes) {
  std::string text(bytes, ' ');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

}  // namespace ktlsim::system_tests
