// ServeDigestTest: `ktlsim serve --digest-realm` with two users, and clients for it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {

inline constexpr const char* kDigestRealm = "staff";

// The beginning of programs in Python: `session` makes requests as a user. Their arguments are the
// URL, user and password, and `others`.
inline const std::string kPythonSession = R"(
import sys, warnings, requests
from requests.auth import HTTPDigestAuth
warnings.simplefilter('ignore')
url, user, password, *others = sys.argv[1:]
session = requests.Session()
session.auth = HTTPDigestAuth(user, password)
session.verify = False
session.trust_env = False
)";

inline bool Has(const std::string& program) {
  return RunProgram({"sh", "-c", "command -v " + program}).code == 0;
}
inline bool HasPythonModule(const std::string& name) {
  return RunProgram({"python3", "-c", "import " + name}).code == 0;
}

class ServeDigestTest : public testing::Test {
 protected:
  ServeDigestTest() {
    std::filesystem::create_directories(folder_.File("www/private"));
    Write("www/index.html", "home");
    Write("www/private/page", "page");
    Write("www/private/index.html", "private");
    AddUser("alice", "wonder land");
    AddUser("bob", "builder");
  }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_.File(name), std::ios::binary) << text;
  }
  void AddUser(const std::string& user, const std::string& password) {
    const Finished added =
        RunProgram({test::CommandPath(), "users", "add", users_, user, "--realm", kDigestRealm},
                   password + "\n");
    ASSERT_EQ(added.code, 0) << added.output;
  }
  void Start(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "--self-signed",  "localhost",  "--root",         folder_.File("www"),
        "--digest-realm", kDigestRealm, "--digest-users", users_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    server_ = std::make_unique<ServeProcess>(arguments);
    ASSERT_TRUE(server_->running()) << server_->output();
  }
  // What `curl` prints: for each response its code, its connections and what `format` adds.
  std::string Curl(const std::vector<std::string>& more) {
    std::vector<std::string> all = {"curl", "-sS",          "-k", "--max-time",
                                    "30",   "--path-as-is", "-w", "%{http_code} %{num_connects};"};
    all.insert(all.end(), more.begin(), more.end());
    return RunProgram(all).output;
  }
  std::string CurlAs(const std::string& user_password, std::vector<std::string> more) {
    more.insert(more.begin(), {"--digest", "-u", user_password, "-o", "/dev/null"});
    return Curl(more);
  }
  // The fields that curl sends and gets, for looking into them.
  std::string Verbose(const std::string& user_password, std::vector<std::string> more) {
    more.insert(more.begin(), {"-v"});
    return CurlAs(user_password, more);
  }
  // The Authorization field that curl sent last.
  std::string Header(const std::string& user_password, const std::string& path) {
    const std::string told = Verbose(user_password, {server_->url(path)});
    const std::size_t begin = told.rfind("> Authorization: ");
    if (begin == std::string::npos) return {};
    return told.substr(begin + 2, told.find_first_of("\r\n", begin) - begin - 2);
  }
  // Runs a program in Python, whose arguments are the URL, user and password.
  Finished Python(const std::string& program, const std::string& path,
                  const std::string& user = "alice", const std::string& password = "wonder land") {
    return RunProgram({"python3", "-c", program, server_->url(path), user, password});
  }

  TemporaryFolder folder_;
  const std::string users_ = folder_.File("users");
  std::unique_ptr<ServeProcess> server_;
};

}  // namespace ktlsim::system_tests
