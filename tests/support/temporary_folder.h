// TemporaryFolder: a folder of one test's own. Tests run at the same time, each in a process of its
// own, so a file with a fixed name would be written and removed by several of them at once.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace ktlsim::test {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(std::filesystem::temp_directory_path() / "ktlsim-test-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no folder " + path_);
  }
  // Removes the folder with its content.
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  // The path of a file in the folder, which need not exist.
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file of the folder and returns its path.
  std::string Write(const std::string& name, std::string_view text) const {
    std::string path = File(name);
    std::ofstream file(path, std::ios::binary);
    if (!(file << text).flush()) throw std::runtime_error("cannot write " + path);
    return path;
  }

 private:
  std::string path_;
};

}  // namespace ktlsim::test
