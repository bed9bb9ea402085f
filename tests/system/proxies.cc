#include "tests/system/proxies.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace ktlsim::system_tests {

void Proxy::Start(const ChildProcess::Arguments& arguments) {
  process_ = std::make_unique<ChildProcess>(arguments);
  // It does not report when it listens: send requests until any response comes.
  const Finished curl = RunProgram({"curl", "-s", "--retry", "100", "--retry-delay", "0",
                                    "--retry-max-time", "10", "--retry-connrefused", "--max-time",
                                    "10", "-o", "/dev/null", "http://" + address() + "/"});
  running_ = curl.code == 0 || curl.code == 52 || curl.code == 56;
}

bool Nginx::installed() { return access("/usr/sbin/nginx", X_OK) == 0; }

Nginx::Nginx(const std::string& server, const std::string& http) {
  std::filesystem::create_directories(folder_.File("www"));
  std::ofstream(folder_.File("nginx.conf"))
      << fmt::format(
             "daemon off; master_process off; pid {0}; error_log {1};\n"
             "events {{ }}\n"
             "http {{ access_log off; client_body_temp_path {2}; proxy_temp_path {2};\n"
             " fastcgi_temp_path {2}; uwsgi_temp_path {2}; scgi_temp_path {2};\n",
             folder_.File("pid"), folder_.File("error.log"), folder_.File("www"))
      << http << " server { root " << folder_.File("www") << "; listen " << address() << " "
      << server << " } }\n";
  Start({"nginx", "-p", folder_.File(""), "-c", folder_.File("nginx.conf")});
}

bool Haproxy::installed() { return access("/usr/sbin/haproxy", X_OK) == 0; }

Haproxy::Haproxy(const std::string& frontend, const std::string& rest) {
  std::ofstream(folder_.File("haproxy.cfg"))
      << "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
      << "frontend front\n bind " << address() << " " << frontend << "\n"
      << rest << "\n";
  Start({"haproxy", "-q", "-db", "-f", folder_.File("haproxy.cfg")});
}

}  // namespace ktlsim::system_tests
