#include "tests/tidy/source_tree.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/support/paths.h"

namespace ktlsim::test {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolders[] = {"bench", "examples", "io", "kernel_sim", "tests", "tls"};

std::string Root() { return SourceRoot() + "/"; }

bool IsSource(const fs::path& path) {
  return path.extension() == ".h" || path.extension() == ".cc" || path.extension() == ".c";
}

// Where a literal that begins at `at` (a quote) ends, its closing quote included.
std::size_t EndOfLiteral(const std::string& text, std::size_t at) {
  const bool raw = text[at] == '"' && at > 0 && text[at - 1] == 'R';
  if (raw) {
    const std::size_t open = text.find('(', at);
    const std::string close = ")" + text.substr(at + 1, open - at - 1) + "\"";
    const std::size_t end = text.find(close, open);
    return end == std::string::npos ? text.size() : end + close.size();
  }
  std::size_t end = at + 1;
  while (end < text.size() && text[end] != text[at]) end += text[end] == '\\' ? 2U : 1U;
  return std::min(end + 1, text.size());
}

void Blank(std::string& code, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    if (code[i] != '\n') code[i] = ' ';
  }
}

// An apostrophe between digits separates them.
bool SeparatesDigits(const std::string& text, std::size_t at) {
  return at > 0 && std::isxdigit(static_cast<unsigned char>(text[at - 1])) != 0;
}

std::string CodeOf(const std::string& text) {
  std::string code = text;
  std::size_t i = 0;
  while (i < text.size()) {
    std::size_t end = i + 1;
    if (text.compare(i, 2, "//") == 0) {
      end = std::min(text.find('\n', i), text.size());
      Blank(code, i, end);
    } else if (text.compare(i, 2, "/*") == 0) {
      end = std::min(text.find("*/", i), text.size() - 2) + 2;
      Blank(code, i, end);
    } else if (text[i] == '"' || (text[i] == '\'' && !SeparatesDigits(text, i))) {
      end = EndOfLiteral(text, i);
      // The includes test reads the name of an include.
      const std::size_t line = text.rfind('\n', i) + 1;
      if (text.compare(line, 8, "#include") != 0) Blank(code, i + 1, end - 1);
    }
    i = end;
  }
  return code;
}

std::vector<SourceFile> ReadSources() {
  std::vector<SourceFile> files;
  for (const std::string_view folder : kFolders) {
    for (const auto& entry : fs::recursive_directory_iterator(Root() + std::string(folder))) {
      if (!entry.is_regular_file() || !IsSource(entry.path())) continue;
      SourceFile file;
      file.path = entry.path().string().substr(Root().size());
      file.text = ReadFromRoot(file.path);
      file.code = CodeOf(file.text);
      files.push_back(std::move(file));
    }
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace

bool SourceFile::In(std::string_view folder) const {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}
bool SourceFile::Is(std::string_view suffix) const { return path.ends_with(suffix); }

const std::vector<SourceFile>& Sources() {
  static const auto* const files = new std::vector<SourceFile>(ReadSources());
  return *files;
}

std::string ReadFromRoot(const std::string& path) {
  std::ifstream file(Root() + path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> Documents() {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(Root())) {
    if (entry.path().extension() == ".md") paths.push_back(entry.path().filename().string());
  }
  for (const std::string_view folder : kFolders) {
    for (const auto& entry : fs::recursive_directory_iterator(Root() + std::string(folder))) {
      if (entry.path().extension() == ".md") {
        paths.push_back(entry.path().string().substr(Root().size()));
      }
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::size_t LineAt(std::string_view text, std::size_t offset) {
  return 1 + static_cast<std::size_t>(std::count(
                 text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

}  // namespace ktlsim::test
