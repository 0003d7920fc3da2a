<?php
// Exceptions that plugins throw and catch by these names.

namespace Automattic\WooCommerce\StoreApi\Exceptions {
	class RouteException extends \Exception {
		public $error_code;

		public function __construct( $error_code, $message, $status = 400 ) {
			$this->error_code = $error_code;
			parent::__construct( $message, $status );
		}

		public function getErrorCode() {
			return $this->error_code;
		}
	}
}

namespace Automattic\WooCommerce\Checkout\Helpers {
	class ReserveStockException extends \Exception {
		public $error_code;

		public function __construct( $error_code, $message, $status = 400 ) {
			$this->error_code = $error_code;
			parent::__construct( $message, $status );
		}

		public function getErrorCode() {
			return $this->error_code;
		}
	}
}
