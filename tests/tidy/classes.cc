#include "tests/tidy/classes.h"

#include <algorithm>
#include <regex>
#include <string_view>

namespace ktlsim::test {
namespace {

// The first words of declarations that declare no member of the object.
const std::regex& NoMember() {
  static const std::regex pattern(
      "^(using|typedef|static|template|explicit|virtual|inline|constexpr|consteval|return|operator|"
      "extern|static_assert|enum)\\b");
  return pattern;
}

std::string Trimmed(std::string text) {
  const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
  while (!text.empty() && space(text.back())) text.pop_back();
  std::size_t start = 0;
  while (start < text.size() && space(text[start])) ++start;
  return text.substr(start);
}

// The text without the parts between balanced angle brackets.
std::string WithoutTemplateArguments(const std::string& text) {
  std::string out;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool arrow = text[i] == '>' && i > 0 && text[i - 1] == '-';
    if (text[i] == '<') ++depth;
    if (depth == 0) out += text[i];
    if (text[i] == '>' && !arrow && depth > 0) --depth;
  }
  return out;
}

// A declaration without its semicolon and without the contents of its braces.
class Declaration {
 public:
  explicit Declaration(const std::string& text) {
    static const std::regex labels("\\b(public|private|protected):");
    static const std::regex annotations("\\b(alignas|KTLSIM_[A-Z_]+)\\s*\\([^()]*\\)");
    static const std::regex attributes("\\[\\[[^\\]]*\\]\\]");
    if (text.find("[[maybe_unused]]") != std::string::npos) return;
    text_ = std::regex_replace(text, labels, " ");
    text_ = std::regex_replace(text_, annotations, " ");
    text_ = Trimmed(std::regex_replace(text_, attributes, " "));
  }

  // The class, or "" for another declaration.
  std::string Friend() const {
    static const std::regex pattern("^friend (class |struct )?([A-Za-z_:]+)$");
    std::smatch match;
    return std::regex_search(text_, match, pattern) ? match[2].str() : "";
  }

  void AddMembers(std::size_t line, std::vector<Member>* members) const {
    if (text_.empty() || std::regex_search(text_, NoMember()) || text_.starts_with("friend"))
      return;
    static const std::regex flag(
        "^(mutable |const )*(bool\\b|std::atomic<bool>|std::atomic_bool\\b)");
    const bool is_flag = std::regex_search(text_, flag);
    std::string declarators = WithoutTemplateArguments(text_);
    static const std::regex pointer("\\(\\s*\\*+\\s*(\\w+)(\\[[^\\]]*\\])*\\s*\\)\\s*\\(");
    std::smatch match;
    if (std::regex_search(declarators, match, pointer)) {
      members->push_back({.name = match[1], .flag = false, .line = line});
      return;
    }
    const std::size_t assignment = declarators.find('=');
    const std::size_t parenthesis = declarators.find('(');
    if (parenthesis != std::string::npos && parenthesis < assignment) return;  // a function
    AddNames(declarators, is_flag, line, members);
  }

 private:
  static void AddNames(const std::string& declarators, bool is_flag, std::size_t line,
                       std::vector<Member>* members) {
    // "type name = value, other[2] : 3"; a type alone ("struct x") declares none.
    static const std::regex name("([A-Za-z_]\\w*)\\s*(\\[[^\\]]*\\]\\s*)*(:\\s*\\w+\\s*)?(=.*)?$");
    static const std::regex type_alone("^(class|struct|enum|enum class|union)\\s+[\\w:]+$");
    std::size_t start = 0;
    bool first = true;
    while (start <= declarators.size()) {
      const std::size_t comma = std::min(declarators.find(',', start), declarators.size());
      const std::string one = Trimmed(declarators.substr(start, comma - start));
      std::smatch match;
      const std::string flat = std::regex_replace(one, std::regex("\\s+"), " ");
      if (std::regex_search(flat, match, name) && !std::regex_match(flat, type_alone) &&
          (!first || match.position(1) > 0)) {
        members->push_back({.name = match[1], .flag = is_flag, .line = line});
      }
      first = false;
      start = comma + 1;
    }
  }

  std::string text_;
};

std::size_t EndOfBraces(const std::string& code, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < code.size(); ++i) {
    if (code[i] == '{') ++depth;
    if (code[i] == '}' && --depth == 0) return i;
  }
  return code.size();
}

// From after the opening brace at `open` to its closing one.
void ReadBody(const std::string& code, std::size_t open, Class* found) {
  const std::size_t close = EndOfBraces(code, open);
  std::string statement;
  for (std::size_t i = open + 1; i < close; ++i) {
    if (code[i] == '#') {  // a directive
      i = std::min(code.find('\n', i), close);
      continue;
    }
    if (code[i] == '{') {
      const std::string before = WithoutTemplateArguments(
          Declaration(statement).Friend().empty() ? statement : std::string());
      const std::size_t parenthesis = before.find('(');
      const bool function = parenthesis != std::string::npos && parenthesis < before.find('=');
      i = EndOfBraces(code, i);
      // Braces hold a function's body or a nested type, or initialise a member.
      static const std::regex initialiser("\\)\\s*(noexcept\\s*)?:[^:].*[\\w>]\\s*$");
      if (function && std::regex_search(Trimmed(before), initialiser)) continue;
      if (function) statement.clear();
      continue;
    }
    if (code[i] != ';') {
      statement += code[i] == '\n' ? ' ' : code[i];
      continue;
    }
    const Declaration declaration(statement);
    if (const std::string other = declaration.Friend(); !other.empty()) {
      found->friends.push_back(other);
    }
    declaration.AddMembers(LineAt(code, i), &found->members);
    statement.clear();
  }
}

}  // namespace

std::size_t Class::flags() const {
  return static_cast<std::size_t>(
      std::count_if(members.begin(), members.end(), [](const Member& m) { return m.flag; }));
}

std::vector<Class> ClassesOf(const SourceFile& file) {
  static const std::regex head(
      "(^|\\n)([ ]*(template <[^;{]*>\\s*)?)(class|struct) (alignas\\([^)]*\\) )?(KTLSIM_[A-Z_]+ |"
      "KTLSIM_[A-Z_]+\\([^)]*\\) )?([A-Za-z_][\\w:]*)( final)?(\\s*:[^;{}()]*)?\\s*\\{");
  std::vector<Class> classes;
  for (auto at = std::sregex_iterator(file.code.begin(), file.code.end(), head);
       at != std::sregex_iterator(); ++at) {
    Class found;
    found.name = (*at)[7];
    found.path = file.path;
    found.line = LineAt(file.code, static_cast<std::size_t>(at->position(4)));
    ReadBody(file.code, static_cast<std::size_t>(at->position(0) + at->length(0)) - 1, &found);
    classes.push_back(std::move(found));
  }
  return classes;
}

}  // namespace ktlsim::test
