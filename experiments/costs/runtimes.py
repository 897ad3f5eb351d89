"""A network as each runtime runs it: from an image to logits.

OpenVINO and ONNX Runtime read one export of torch, for images of one shape. OpenVINO's own
converter is left out, and with it a second export to hold against torch.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.costs.device import autocast, synchronise
from experiments.costs.hidden_library import without
from experiments.costs.measurement import check_libraries

Forward = Callable[[Tensor], Tensor]

_HALF = {"bf16-mixed": "bf16", "16-mixed": "fp16"}  # of two bytes


@dataclass(frozen=True)
class Runner:
    """A network that is ready to run, inside `inference`.

    Attributes:
        forward: images (N, 3, H, W), float32, normalised and of the example's shape, to logits
            (N, K, H, W), which hold until the next call.
        ran_in: "fp32", "tf32", "bf16" or "fp16": what convolutions really compute in.
        start_up_s: seconds from the network to its first logits.
    """

    forward: Forward
    ran_in: str
    start_up_s: float


def inference(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Where runners run: without gradients, and for torch itself under the precision, so that it
    casts weights once and not at every call."""
    stack = ExitStack()
    stack.enter_context(torch.inference_mode())
    stack.enter_context(autocast(device, precision))
    return stack


def prepare(network: nn.Module, runtime: str, precision: str, example: Tensor) -> Runner:
    """The network, ready on the device of an example; moved there, channels-last, in evaluation.

    Args:
        runtime: of `measurement.RUNTIMES`.
        precision: of `trials.recipe.PRECISIONS`; ONNX Runtime has no other than fp32 here.

    Raises:
        ValueError: a runtime that is not installed, or that cannot run the network here.
        RuntimeError: of torch itself, as where memory ends.
    """
    device = example.device
    network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    check_libraries([runtime])
    if runtime in _EXPORTED and device.type != "cpu":
        raise ValueError(
            f"{runtime} runs on the processor, and measured here is {device.type}: leave it out of "
            "--runtime, or hide the GPU (CUDA_VISIBLE_DEVICES=)"
        )
    start = time.perf_counter()
    forward, ran_in = _start(network, runtime, precision, example)
    synchronise(device)
    return Runner(forward, ran_in, time.perf_counter() - start)


def _start(
    network: nn.Module, runtime: str, precision: str, example: Tensor
) -> tuple[Forward, str]:
    """What runs it, after its first call, and what that computes in."""
    forward: Forward = network
    ran_in = _HALF.get(precision, "fp32")
    if precision == "tf32" and example.device.type == "cuda":
        ran_in = "tf32"
    if runtime == "eager":
        with inference(example.device, precision):
            forward(example)
        return forward, ran_in
    try:
        if runtime == "compiled":
            forward = _compiled(network, example.device)
        else:
            forward, ran_in = _EXPORTED[runtime](_onnx(network, example), precision)
        with inference(example.device, precision):
            forward(example)
    except Exception as error:  # each of these libraries has its own
        raise ValueError(f"{runtime} cannot run this network: {_reason(error)}") from error
    return forward, ran_in


def _reason(error: BaseException) -> str:
    """The innermost error's first line: those around it say which step of an export failed."""
    while inner := getattr(error, "inner_exception", None) or error.__cause__:
        error = inner
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _compiled(network: nn.Module, device: torch.device) -> Forward:
    """On a GPU with CUDA graphs: at one image a pass, starting a thousand kernels is what takes
    time. Searching for the fastest kernel of each convolution is left out: it takes minutes."""
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    compiled: Forward = torch.compile(network, mode=mode, dynamic=False)
    return compiled


def _onnx(network: nn.Module, example: Tensor) -> bytes:
    """The network for images of the example's shape, in fp32."""
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        verbose=False,
        input_names=["image"],
        output_names=["logits"],
    )
    assert program is not None  # as dynamo=True gives one
    exported: bytes = program.model_proto.SerializeToString()
    return exported


def _openvino(exported: bytes, precision: str) -> tuple[Forward, str]:
    with without("openvino_telemetry"):
        import openvino
    core = openvino.Core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_HYPER_THREADING": True,  # as many threads as torch has, on whatever cores
        "INFERENCE_PRECISION_HINT": {"bf16-mixed": "bf16", "16-mixed": "f16"}.get(precision, "f32"),
    }
    model = core.compile_model(core.read_model(exported), "CPU", options)
    hint = model.get_property("INFERENCE_PRECISION_HINT")
    ran_in = {openvino.Type.bf16: "bf16", openvino.Type.f16: "fp16"}.get(hint, "fp32")
    request = model.create_infer_request()

    def forward(image: Tensor) -> Tensor:
        found = request.infer([image.contiguous().numpy()], share_inputs=True, share_outputs=True)
        return torch.from_numpy(found[0])

    return forward, ran_in


def _onnxruntime(exported: bytes, precision: str) -> tuple[Forward, str]:
    """In fp32 whatever the precision: its convolutions know no other on a processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])

    def forward(image: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"image": image.contiguous().numpy()})
        return torch.from_numpy(logits)

    return forward, "fp32"


_EXPORTED = {"openvino": _openvino, "onnxruntime": _onnxruntime}
