"""Kernels by kind, and shares that add up."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from experiments.speed.time_use import IDLE, NAMES, OTHER, kind_of, profiled, shares, unknown
from tests.devices import DEVICES

# Names as profiles of cuDNN 8 and 9, cuBLAS, CUTLASS, Triton and torch on A100 and H100 print them.
KERNELS = {
    "sm80_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize128x128x32_stage4":
        "convolution and matrix products",
    "sm90_xmma_wgrad_implicit_gemm_indexed_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_cudnn":
        "convolution and matrix products",
    "void cutlass_cudnn_infer::Kernel<cutlass_tensorop_bf16_s16816dgrad_optimized_bf16_128x64>":
        "convolution and matrix products",
    "void cutlass__5x_cudnn::Kernel<cutlass_tensorop_s1688fprop_optimized_tf32_128x128_16x4>":
        "convolution and matrix products",
    "void implicit_convolve_sgemm<float, float, 128, 5, 5, 3, 3, 3, 1, false, false, true>":
        "convolution and matrix products",
    "void cudnn::winograd_nonfused::winogradForwardFilter4x4<float, float>":
        "convolution and matrix products",
    "ampere_bf16_s16816gemm_bf16_128x256_ldg8_f2f_stages_64x3_nn":
        "convolution and matrix products",
    "nvjet_tst_128x256_64x4_2x1_v_bz_coopA_NNT": "convolution and matrix products",
    "void at::native::(anonymous namespace)::conv_depthwise2d_forward_kernel<3, float, int>":
        "convolution and matrix products",
    "void cudnn::bn_fw_tr_1C11_kernel_NCHW<float, float, int, 512, true, 1, true>": "batch norm",
    "void cudnn::batchnorm_fwtr_nhwc_semiPersist<__nv_bfloat16, __nv_bfloat162, float>":
        "batch norm",
    "void at::native::batch_norm_collect_statistics_channels_last_kernel<at::native::Var>":
        "batch norm",
    "void at::native::batch_norm_backward_elemt_channels_last_kernel<4, float>": "batch norm",
    "triton_red_fused__native_batch_norm_legit_functional_3": "batch norm",
    "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>":
        "elementwise",
    "void at::native::elementwise_kernel<128, 4, at::native::gpu_kernel_impl<threshold>>":
        "elementwise",
    "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, func_wrapper_t>>":
        "elementwise",
    "void at::native::(anonymous namespace)::max_pool_forward_nhwc<float, int>": "elementwise",
    "op_generic_tensor_kernel<1, __nv_bfloat16, float, __nv_bfloat16, 256>": "elementwise",
    "void at::native::(anonymous namespace)::distribution_elementwise_grid_stride_kernel<float, 4>":
        "elementwise",
    "cutlass3x_sm100_tensorop_s128x128x16_conv2d_fprop_bn_stat_f16_f16_f32_f16_128x128x64_dyn_cga":
        "convolution and matrix products",
    "void cudnn::engines_precompiled::nchwToNhwcKernel<__nv_bfloat16, __half, float, false>":
        "copies",
    "void cudnn::pooling_fw_kernel_max_vector<cudnn::maxpooling_func<float, float>>": "elementwise",
    "triton_poi_fused_add_relu_12": "elementwise",
    "triton_poi_fused_convolution_relu_3": "elementwise",  # the bias of a convolution
    "triton_tem_fused_convolution_7": "convolution and matrix products",
    "void cutlass::device_kernel<cutlass::gemm::kernel::GemmUniversal<cute::Copy_Atom<SM90>>>":
        "convolution and matrix products",
    "void cudnn::ops::convertTensor_kernel<float, __half, float>": "copies",
    "void at::native::(anonymous namespace)::upsample_bilinear2d_nhwc_out_frame<float>":
        "interpolation",
    "void at::native::(anonymous namespace)::upsample_bilinear2d_backward_nhwc_out_frame<float>":
        "interpolation",
    "void at::native::(anonymous namespace)::nll_loss2d_forward_kernel<float, float, long>": "loss",
    "void at::native::(anonymous namespace)::cunn_SpatialSoftMaxForward<float, float>": "loss",
    "void at::native::(anonymous namespace)::multi_tensor_apply_kernel<TensorListMetadata<3>, "
    "FusedSgdMathFunctor<float, 3>, float>": "optimiser",
    "Memcpy HtoD (Pinned -> Device)": "copies",
    "Memset (Device)": "copies",
    "void at::native::elementwise_kernel<128, 4, at::native::direct_copy_kernel_cuda>": "copies",
    "void at::native::unrolled_elementwise_kernel<at::native::bfloat16_copy_kernel_cuda>": "copies",
    "void cudnn::ops::nchwToNhwcKernel<float, float, float, false, true>": "copies",
    "void at::native::(anonymous namespace)::CatArrayBatchedCopy_contig<unsigned int, 4>": "copies",
    "void somebody::new_kernel<3>": OTHER,
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), KERNELS.items(), ids=[n[:40] for n in KERNELS])
def test_a_kernel_has_its_kind(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_shares_add_up_and_the_rest_is_idle() -> None:
    events = [("sm80_gemm", 300.0), ("Memset (Device)", 100.0), ("unheard of", 100.0)]
    found = shares(events, seconds=1000 / 1e6)
    assert tuple(found) == NAMES
    assert sum(found.values()) == pytest.approx(1, abs=1e-3)
    assert (found["convolution and matrix products"], found["copies"]) == (0.3, 0.1)
    assert (found[OTHER], found[IDLE]) == (0.1, 0.5)
    assert unknown(events) == ["unheard of"]
    # Two streams at once: more time of kernels than has passed.
    crowded = shares([("gemm", 3e6), ("relu", 1e6)], seconds=2)
    assert crowded["convolution and matrix products"] == 0.75 and crowded[IDLE] == 0
    assert shares([], 0)[IDLE] == 0


@pytest.mark.parametrize("device", DEVICES)
def test_a_profile_sees_what_a_network_does(device: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
    network.to(device)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, fused=True)
    image = torch.rand(2, 3, 64, 64, device=device)
    mask = torch.zeros(2, 128, 128, dtype=torch.long, device=device)

    def step() -> None:
        logits = F.interpolate(network(image), scale_factor=2, mode="bilinear")
        F.cross_entropy(logits, mask).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step()
    once, thrice = (profiled(step, torch.device(device), steps) for steps in (1, 3))
    kinds = {kind_of(name) for name, _ in once}
    assert kinds >= {*NAMES} - {OTHER, IDLE, "copies"}
    assert all(microseconds >= 0 for _, microseconds in once)
    convolutions = [
        sum(kind_of(name) == "convolution and matrix products" for name, _ in events)
        for events in (once, thrice)
    ]
    assert 0 < convolutions[0] < convolutions[1]
    if device == "cpu":
        assert convolutions[1] == 3 * convolutions[0]
