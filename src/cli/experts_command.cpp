// retort experts: training, or importing, the experts of trajectory matching.
#include "cli/experts_command.h"

#include <cmath>
#include <ostream>

#include "cli/host.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/records.h"

namespace retort::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  retort experts --data cifar-10-batches-bin --normalisation zca --count 20 --out experts/\n"
    "  retort experts --data my_images/ --resolution 32 --flat --snapshots float16 --out flat/\n"
    "  retort experts --data cifar-10-batches-bin --count 100 --shard 0/4 --out experts/\n"
    "  retort experts --import replay_buffer_0.pt,replay_buffer_1.pt --data cifar-10-batches-bin "
    "--network convnet --out experts/\n\n"
    "Training that was stopped or killed goes on when the same command is given again, and ends "
    "in\n"
    "the same bytes. Several jobs may work in one folder, each with its own --shard.\n";

Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json to_json(const ExpertsSettings& settings, const std::string& data,
             const trajectories::ExpertOutcome& outcome) {
  Json experts = Json::array();
  for (const trajectories::ExpertResult& result : outcome.experts)
    experts.push_back({{"expert", result.expert},
                       {"loss", number_or_null(result.loss)},
                       {"accuracy", result.accuracy}});
  return {{"out", settings.out},
          {"data", data},
          {"network", outcome.network},
          {"parameters", outcome.parameters},
          {"made", outcome.made},
          {"already_finished", outcome.made == 0},
          {"peak_memory_bytes", peak_memory_bytes()},
          {"experts", experts}};
}

void print_table(const Environment& environment, const ExpertsSettings& settings,
                 const trajectories::ExpertOutcome& outcome) {
  std::vector<std::vector<std::string>> rows{{"expert", "training loss", "test accuracy %"}};
  for (const trajectories::ExpertResult& result : outcome.experts)
    rows.push_back({std::to_string(result.expert),
                    std::isfinite(result.loss) ? fmt::format("{:.4f}", result.loss) : "-",
                    fmt::format("{:.1f}", 100 * result.accuracy)});
  environment.out << (outcome.made == 0 ? "these experts were finished before\n\n" : "")
                  << aligned(rows) << "\nin " << settings.out << "\n";
}

void print_need(const Environment& environment, const trajectories::DiskNeed& need,
                const std::string& folder) {
  environment.err << fmt::format("disk: {} more for {} expert{}, {} free in {}\n",
                                 format_bytes(static_cast<double>(need.bytes)), need.experts,
                                 need.experts == 1 ? "" : "s",
                                 format_bytes(static_cast<double>(need.free_bytes)), folder);
}

}  // namespace

ExpertsSettings::ExpertsSettings() {
  experts.declare(options);
  options.group("Data");
  data.declare(options);
  machine.declare(options);
  options.group("Run");
  options.add("out", out, "the folder of the experts", {}, Role::kExecution);
}

int make_experts(const Environment& environment, ExpertsSettings& settings) {
  if (settings.out.empty())
    throw ConfigError(ErrorMessage{"reading the options of 'retort experts'",
                                   "missing: --out, the folder of the experts",
                                   {},
                                   {}});
  trajectories::experts_started(settings.out, settings.options);
  const at::Device device = settings.machine.apply(environment);
  const data::Dataset data =
      open_data(environment, settings.data, std::filesystem::path(settings.out) / "cache");
  trajectories::ExpertSettings how{device, environment.progress(), environment.stop};
  how.note = [&](const std::string& note) { environment.err << "note: " << note << "\n"; };
  how.need = [&](const trajectories::DiskNeed& need) {
    print_need(environment, need, settings.out);
  };
  how.recipe = &settings.options;
  how.group = environment.group;
  const trajectories::ExpertOutcome outcome =
      trajectories::make_experts(data, settings.experts, settings.out, how);
  if (outcome.stopped) return say_stopped(environment);
  if (settings.machine.json)
    environment.out << json_text(to_json(settings, data.name, outcome), 2) << "\n";
  else
    print_table(environment, settings, outcome);
  return 0;
}

int run_experts(const Environment& environment, const Arguments& arguments) {
  ExpertsSettings settings;
  const Usage usage{"experts", "Trains networks on the whole set and keeps their parameters.",
                    kExamples};
  if (!parse(environment, usage, arguments, settings.options)) return 0;
  return make_experts(environment, settings);
}

}  // namespace retort::cli
