// Functions found in the text of a source, by its braces: enough for code that clang-format has
// laid out, with no need of a compiler.
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

namespace retort::tests {

/// The code without comments, and with empty strings and characters; lines stay where they are.
inline std::string bare(const std::string& code) {
  std::string out;
  const auto skip_to = [&](size_t from, const std::string& end) {
    const size_t found = std::min(code.find(end, from), code.size());
    for (size_t i = from; i < found; ++i)
      if (code[i] == '\n') out += '\n';
    return found;
  };
  for (size_t i = 0; i < code.size(); ++i) {
    if (code.compare(i, 2, "//") == 0) {
      i = skip_to(i, "\n") - 1;
    } else if (code.compare(i, 2, "/*") == 0) {
      i = skip_to(i, "*/") + 1;
    } else if (code.compare(i, 2, "R\"") == 0) {
      const size_t open = code.find('(', i);
      const std::string end = ")" + code.substr(i + 2, open - i - 2) + "\"";
      i = skip_to(open, end) + end.size() - 1;
      out += "\"\"";
    } else if (code[i] == '"' || (code[i] == '\'' && (i == 0 || !std::isalnum(code[i - 1])))) {
      const char quote = code[i];
      for (++i; i < code.size() && code[i] != quote; ++i)
        if (code[i] == '\\') ++i;
      out += std::string(2, quote);
    } else {
      out += code[i];
    }
  }
  return out;
}

/// A function with a body: where its first line stands, its lines and its parameters.
struct Function {
  std::string name;
  int line = 0, lines = 0, parameters = 0;
};

/// The parameters between the first round brackets of a declaration.
inline int count_parameters(const std::string& head) {
  const size_t open = head.find('(');
  int depth = 0, count = 0;
  bool empty = true;
  for (size_t i = open; i < head.size(); ++i) {
    const char c = head[i];
    if (c == '(' || c == '<' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']' || (c == '>' && head[i - 1] != '-')) --depth;
    if (depth == 0) break;
    if (i > open && !std::isspace(static_cast<unsigned char>(c))) empty = false;
    if (depth == 1 && c == ',') ++count;
  }
  return empty ? 0 : count + 1;
}

/// What an opening brace begins, by the statement before it.
enum class Opens { kScope, kFunction, kOther };

inline Opens what_opens(const std::string& head) {
  const auto has_word = [&](const std::string& word) {
    const size_t at = head.find(word);
    return at != std::string::npos && (at == 0 || !std::isalnum(head[at - 1])) &&
           !std::isalnum(head[at + word.size()]);
  };
  const size_t open = head.find('(');
  if (open == std::string::npos) {
    for (const char* word : {"namespace", "class", "struct", "union", "enum", "extern"})
      if (has_word(word)) return Opens::kScope;
    return Opens::kOther;
  }
  // A table: its sign of equality stands before any bracket.
  const size_t equals = head.find('=');
  const bool table = equals < open && head.find("operator") == std::string::npos;
  return table ? Opens::kOther : Opens::kFunction;
}

/// The functions of a source, those inside of classes too; lambdas count as part of theirs.
inline std::vector<Function> functions_in(const std::string& source) {
  const std::string code = bare(source);
  std::vector<Function> found;
  std::string head;
  int line = 1, first = 1, inside = 0;  // inside: braces of what is neither namespace nor class
  bool counting = false;
  for (size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    if (c == '\n') ++line;
    if (inside > 0) {
      inside += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (inside == 0 && counting) found.back().lines = line - found.back().line + 1;
      continue;
    }
    if (c == '#' &&
        head.find_first_not_of(" \n") == std::string::npos) {  // with what it goes on to
      for (; i < code.size() && (code[i] != '\n' || code[i - 1] == '\\'); ++i)
        if (code[i] == '\n') ++line;
      ++line;
      continue;
    }
    const bool in_brackets =
        std::count(head.begin(), head.end(), '(') > std::count(head.begin(), head.end(), ')');
    if (in_brackets) {
      head += c;
    } else if (c == ';' || c == '}') {
      head.clear();
    } else if (c == '{') {
      // An initialiser in the list of a constructor: the body comes behind it.
      const size_t last = head.find_last_not_of(" \n");
      const size_t list =
          head.find(") :") != std::string::npos ? head.find(") :") : head.find(")\n      :");
      const bool initialiser = list != std::string::npos && last != std::string::npos &&
                               (std::isalnum(head[last]) || head[last] == '_' || head[last] == '>');
      const Opens opens = what_opens(head);
      if (opens == Opens::kScope) {
        head.clear();
        continue;
      }
      inside = 1;
      counting = opens == Opens::kFunction && !initialiser;
      if (counting)
        found.push_back({head.substr(0, head.find('(')), first, 0, count_parameters(head)});
      if (!initialiser) head.clear();
    } else {
      if (head.find_first_not_of(" \n") == std::string::npos) first = line;
      head += c;
    }
  }
  return found;
}

}  // namespace retort::tests
