<?php
// Answers every request with its version: the smallest app in PHP.
const VERSION = 'v1';
header('Content-Type: text/plain; charset=utf-8');
echo mb_convert_case('hello', MB_CASE_TITLE), ' from PHP, ', VERSION, "\n";
