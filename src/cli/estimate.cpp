#include "cli/estimate.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/eval_command.h"
#include "cli/experts_command.h"
#include "cli/rehearsal.h"
#include "cli/reproduce_estimate.h"
#include "retort/core/device.h"
#include "retort/core/error.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

Arguments without(const Arguments& arguments, const std::string& name) {
  Arguments rest;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--" + name)
      ++i;
    else if (!arguments[i].starts_with("--" + name + "="))
      rest.push_back(arguments[i]);
  }
  return rest;
}

Arguments with(const Arguments& arguments, const std::string& name, const std::string& value) {
  Arguments words = without(arguments, name);
  words.insert(words.end(), {"--" + name, value});
  return words;
}

/// The whole run of a command whose folder is --out.
int rehearsed(const Rehearsal& rehearsal, const Command& command, const Arguments& arguments,
              const fs::path& out) {
  const int code = command.run(rehearsal.environment(), with(arguments, "out", out.string()));
  return code == kStopped ? 0 : code;
}

/// A finished run of three iterations has the files of a long one, but for its records.
int64_t distilled_bytes(const Environment& environment, const Command& command,
                        const Arguments& arguments) {
  const PassingFolder folder;
  const Rehearsal quiet(environment, [](const std::string&) { return false; });
  command.run(quiet.environment(),
              with(with(arguments, "iterations", "3"), "out", (folder.path() / "run").string()));
  return folder.bytes();
}

Expected of_distill(const Environment& environment, const Command& command,
                    const Arguments& arguments) {
  constexpr double kRecord = 130;  // bytes of a loss in the records and on the page
  // The loop's progress is called as its method; what else there is, such as reading, has spaces.
  const Rehearsal rehearsal(environment, [](const std::string& label) {
    return label.find(' ') == std::string::npos || label.starts_with("rded,");
  });
  const PassingFolder folder;
  rehearsed(rehearsal, command, arguments, folder.path() / "run");
  Expected expected{rehearsal.seconds(), 0};
  expected.disk_bytes = distilled_bytes(environment, command, arguments);
  const std::string every = peek(arguments, "record-every");
  expected.disk_bytes += static_cast<int64_t>(kRecord * static_cast<double>(rehearsal.total()) /
                                              (every.empty() ? 10.0 : std::stod(every)));
  return expected;
}

/// Experts and teachers.
Expected of_experts(const Environment& environment, const Command& command,
                    const Arguments& arguments) {
  const PassingFolder folder;
  const Rehearsal rehearsal(environment, [](const std::string& label) {
    return label.find(" on ") != std::string::npos;
  });
  rehearsed(rehearsal, command, arguments, folder.path() / "experts");
  Expected expected{rehearsal.seconds(), 0};
  ExpertsSettings settings;
  parse(environment, {"experts", "", ""}, arguments, settings.options);
  const data::Dataset data = open_data(environment, settings.data);
  const auto network = nets::make_network(settings.experts.network,
                                          {data.channels, data.height, data.width, data.classes()});
  const PassingFolder empty;
  const trajectories::ExpertInput input{data, *network, settings.experts, at::kCPU, {}};
  expected.disk_bytes = trajectories::disk_need(input, empty.path()).bytes -
                        3 * network->parameters().size * int64_t{4};  // checkpoints go
  return expected;
}

Expected of_squeeze(const Environment& environment, const Command& command,
                    const Arguments& arguments) {
  const Rehearsal rehearsal(environment,
                            [](const std::string& label) { return label.ends_with(", steps"); });
  {
    const PassingFolder folder;
    rehearsed(rehearsal, command, arguments, folder.path() / "teacher");
  }
  Expected expected{rehearsal.seconds(), 0};
  // A finished teacher of few images has the files of one of many.
  const PassingFolder small;
  const Rehearsal quiet(environment, [](const std::string&) { return false; });
  const Arguments few =
      with(with(with(arguments, "images", "64"), "epochs", "2"), "batch-size", "32");
  rehearsed(quiet, command, few, small.path() / "teacher");
  expected.disk_bytes = small.bytes();
  return expected;
}

Expected of_relabel(const Environment& environment, const Command& command,
                    const Arguments& arguments) {
  const PassingFolder folder;
  const Rehearsal rehearsal(environment,
                            [](const std::string& label) { return label == "labels"; });
  rehearsed(rehearsal, command, arguments, folder.path() / "labels.safetensors");
  Expected expected{rehearsal.seconds(), 0};
  expected.disk_bytes =
      static_cast<int64_t>(static_cast<double>(folder.bytes()) / rehearsal.share());
  return expected;
}

Expected of_eval(const Environment& environment, const Command&, const Arguments& arguments) {
  EvalSettings settings;
  parse(environment, {"eval", "", ""}, arguments, settings.set,
        {{"bundle", "a run folder or a bundle (.safetensors)", &settings.target, true}});
  return {evaluation_seconds(environment, settings), 0};
}

Expected of_reproduce(const Environment& environment, const Command&, const Arguments& arguments) {
  return expected_of_reproduction(environment, arguments);
}

struct Estimator {
  const char* command;
  Expected (*expected)(const Environment&, const Command&, const Arguments&);
};

constexpr Estimator kEstimators[] = {{"distill", of_distill}, {"experts", of_experts},
                                     {"squeeze", of_squeeze}, {"relabel", of_relabel},
                                     {"eval", of_eval},       {"reproduce", of_reproduce}};

}  // namespace

std::string in_words(const Expected& expected) {
  return fmt::format("{}, {} of memory, {} on disk", format_duration(expected.seconds),
                     format_bytes(static_cast<double>(peak_memory_bytes())),
                     format_bytes(static_cast<double>(expected.disk_bytes)));
}

bool can_estimate(const std::string& command) {
  return std::ranges::any_of(kEstimators,
                             [&](const Estimator& one) { return command == one.command; });
}

int estimate(const Environment& environment, const Command& command, const Arguments& arguments) {
  const auto* found = std::ranges::find_if(
      kEstimators, [&](const Estimator& one) { return command.name == one.command; });
  const Expected expected = found->expected(environment, command, arguments);
  const int64_t memory = peak_memory_bytes();
  if (std::ranges::find(arguments, "--json") != arguments.end()) {
    environment.out << json_text(Json{{"estimate",
                                       {{"seconds", expected.seconds},
                                        {"peak_memory_bytes", memory},
                                        {"disk_bytes", expected.disk_bytes}}}},
                                 2)
                    << "\n";
    return 0;
  }
  environment.out << "estimate: " << in_words(expected) << "\n";
  return 0;
}

}  // namespace retort::cli
