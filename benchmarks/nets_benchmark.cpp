// How long do the calls on a network take? The standard ConvNet (width 128, depth 3) at 3x32x32.
#include <benchmark/benchmark.h>

#include "retort/core/device.h"
#include "retort/core/random.h"
#include "retort/nets/network.h"

namespace {

using namespace retort;

struct Problem {
  std::unique_ptr<nets::Network> network = nets::make_network("convnet", {3, 32, 32, 10});
  nets::Inputs inputs;
  losses::Targets targets;

  explicit Problem(int64_t batch) {
    inputs.theta = network->initial(RandomStream(0, "benchmark.theta"));
    inputs.state = network->initial_state();
    inputs.images = at::empty({batch, 3, 32, 32});
    RandomStream stream(0, "benchmark.images");
    stream.fill_normal(inputs.images.data_ptr<float>(), inputs.images.numel());
    targets.values = at::arange(batch, at::kLong).remainder(10);
  }
};

void per_image(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void predict(benchmark::State& state) {
  const Problem problem(state.range(0));
  for (auto _ : state)
    benchmark::DoNotOptimize(problem.network->predict(problem.inputs.theta, problem.inputs.state,
                                                      problem.inputs.images));
  per_image(state);
}

void features_and_pullback(benchmark::State& state) {
  const Problem problem(state.range(0));
  for (auto _ : state) {
    const auto seen = problem.network->observe(problem.inputs, {"features"}, {.images = true});
    benchmark::DoNotOptimize(seen.pullback({{"features", seen.taps.at("features")}}));
  }
  per_image(state);
}

void gradient(benchmark::State& state) {
  const Problem problem(state.range(0));
  for (auto _ : state)
    benchmark::DoNotOptimize(problem.network->gradient(problem.inputs, problem.targets));
  per_image(state);
}

void gradient_jvp_by(benchmark::State& state, const std::string& engine) {
  const Problem problem(state.range(0));
  if (!engine.empty()) problem.network->restrict_to(engine);
  const at::Tensor v = problem.network->initial(RandomStream(1, "benchmark.theta"));
  for (auto _ : state)
    benchmark::DoNotOptimize(problem.network->gradient_jvp(problem.inputs, problem.targets, v,
                                                           {.theta = true, .images = true}));
  per_image(state);
}
void gradient_jvp(benchmark::State& state) {
  gradient_jvp_by(state, {});
}
void gradient_jvp_sequential(benchmark::State& state) {
  gradient_jvp_by(state, "sequential");
}
void gradient_jvp_autograd(benchmark::State& state) {
  gradient_jvp_by(state, "autograd");
}

#define RETORT_BATCHES Arg(10)->Arg(100)->Arg(256)->Unit(benchmark::kMillisecond)->UseRealTime()
BENCHMARK(predict)->RETORT_BATCHES;
BENCHMARK(features_and_pullback)->RETORT_BATCHES;
BENCHMARK(gradient)->RETORT_BATCHES;
BENCHMARK(gradient_jvp)->RETORT_BATCHES;
BENCHMARK(gradient_jvp_sequential)->RETORT_BATCHES;
BENCHMARK(gradient_jvp_autograd)->RETORT_BATCHES;

}  // namespace

int main(int argc, char** argv) {
  retort::use_threads(0);
  retort::keep_freed_memory();  // as the program does
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
