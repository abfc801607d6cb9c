#include "eval/search_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "core/file.h"
#include "retort/core/error.h"

namespace retort::eval {
namespace {

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

std::vector<std::string> names_in(const std::string& path) {
  std::istringstream lines(read_file(path));
  std::vector<std::string> names;
  for (std::string line, word; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    while (words >> word) add_once(names, word);
  }
  return names;
}

}  // namespace

void SearchSpace::declare(OptionSet& set) {
  set.group("Networks");
  set.add("depths", depths, "blocks of the ConvNets");
  set.add("widths", widths, "channels of their convolutions");
  set.add("activations", activations, "their activations",
          {.choices = {"sigmoid", "relu", "leaky", "swish", "tanh", "softplus"}});
  set.add("norms", norms, "their norms", {.choices = {"nonorm", "bn", "ln", "in", "gn"}});
  set.add("poolings", poolings, "their poolings", {.choices = {"nopool", "maxpool", "avgpool"}});
  set.add("networks", networks,
          "a file of networks, one a line, such as convnet-d2-w64-gn, in place of the grid");
}

std::vector<std::string> SearchSpace::names() const {
  std::vector<std::string> all;
  if (!networks.empty()) all = names_in(networks);
  for (const std::string& depth : depths)
    for (const std::string& width : widths)
      for (const std::string& norm : norms)
        for (const std::string& activation : activations)
          for (const std::string& pooling : poolings)
            if (networks.empty())
              add_once(all, fmt::format("convnet-d{}-w{}-{}-{}-{}", depth, width, norm, activation,
                                        pooling));
  if (!all.empty()) return all;
  throw ConfigError(ErrorMessage{"choosing the networks of a search",
                                 "there are none",
                                 "at least one value of every part of the grid, or a file of names",
                                 {}});
}

}  // namespace retort::eval
